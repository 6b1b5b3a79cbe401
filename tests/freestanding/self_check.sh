#!/usr/bin/env bash
# Shows that check.sh can fail: sources that are not freestanding are refused,
# each with a message that names what is wrong; and that one that is, passes.
#
#   self_check.sh COMPILER WORK_DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
compiler=$1 work=$2
rm -rf "$work"
mkdir -p "$work"
failed=0

# expect CODE TEXT NAME: check.sh on the source on stdin ends with CODE and says
# TEXT.
expect() {
  local code=$1 text=$2 source=$work/$3.cc got=0 output
  cat >"$source"
  output=$("$here/check.sh" "$compiler" "$work" "$work/$3" "$source" 2>&1) ||
    got=$?
  if ((got == 77)); then
    echo "$output"
    exit 77
  fi
  if ((got == code)) && grep -qF -- "$text" <<<"$output"; then
    echo "ok: $3: $text"
  else
    echo "FAIL: $3: wanted exit code $code and '$text', got $got and:"
    echo "$output"
    failed=1
  fi
}

expect 0 'wanted from outside: memcpy' copies <<'END'
#include <cstddef>
extern "C" void* memcpy(void*, const void*, std::size_t);
void Copy(void* to, const void* from, std::size_t n) { memcpy(to, from, n); }
END
expect 1 'operator new(unsigned long) (_Znwm), wanted by allocates.cc' \
  allocates <<'END'
int* Allocate() { return new int(1); }
END
expect 1 'operator delete(void*' deletes <<'END'
struct Base { virtual ~Base() = default; };
struct Derived : Base { ~Derived() override; };
Derived::~Derived() = default;
END
expect 1 'std::__throw_length_error(char const*)' throws_in_library <<'END'
#include <stdexcept>
void Throw() { std::__throw_length_error("too long"); }
END
expect 1 'void Throw() { throw 1; }' throws <<'END'
void Throw() { throw 1; }
END
expect 1 '__cxa_atexit' destroyed_at_exit <<'END'
struct Guard { ~Guard(); int value; };
Guard::~Guard() { value = 0; }
Guard guard;
END
expect 1 'section .init_array' constructed_before_main <<'END'
int Start();
int Start() { return __builtin_ia32_rdpmc(0); }
int started = Start();
END
expect 1 'section .tbss' thread_local_storage <<'END'
thread_local int counter;
int Count() { return ++counter; }
END
expect 1 'vector or x87 code: %[xyz]mm, in vector_registers.cc' \
  vector_registers <<'END'
void Clear() { asm volatile("xorps %xmm0, %xmm0"); }
END
expect 1 'vector or x87 code: \<fi?ld' x87_registers <<'END'
void Load() { asm volatile("fld1"); }
END
exit "$failed"
