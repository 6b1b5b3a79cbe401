#!/usr/bin/env bash
# Proves that sources are freestanding: compiles them as ring 0 does, links them
# into one object, and looks at what that object still wants.
#
#   check.sh COMPILER ROOT WORK_DIRECTORY SOURCE...
#
# COMPILER is g++ or clang++ (a path will do); sources are relative to ROOT, or
# absolute. Refused are: undefined symbols outside allowed_symbols.txt, vector
# and x87 registers, constructors that run before main, thread-local storage.
# Exit code: 0 freestanding, 1 not (and why), 77 skipped (and why).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
compiler=$1 root=$2 work=$3
shift 3

if ! command -v "$compiler" >/dev/null; then
  echo "SKIP: ${compiler##*/} is not installed"
  exit 77
fi

# What a boot image or a kernel module is compiled with. The last three are here
# because distributions differ in their defaults.
flags=(-std=c++20 -O2 -ffreestanding -fno-exceptions -fno-rtti -mno-red-zone
  -fno-threadsafe-statics -Wall -Wextra -Werror "-I$root"
  -fno-stack-protector -fno-pie -fcf-protection=none)
case ${compiler##*/} in
  *clang*) flags+=(-mno-sse -mno-mmx) ;;
  *) flags+=(-mgeneral-regs-only) ;;
esac

rm -rf "$work"
mkdir -p "$work"
objects=()
for source in "$@"; do
  [[ $source == /* ]] || source=$root/$source
  name=${source#"$root"/}
  object=$work/${name//\//_}.o
  objects+=("$object")
  case $source in
    *.S) options=("-I$root") ;;
    *) options=("${flags[@]}") ;;
  esac
  if ! "$compiler" "${options[@]}" -c "$source" -o "$object"; then
    echo "FAIL: $name does not compile with $compiler ${options[*]}"
    exit 1
  fi
  nm -u "$object" >"$object.symbols"
  objdump -d "$object" >"$object.code"
  objdump -h "$object" >"$object.sections"
done
ld -r -o "$work/whole" "${objects[@]}"
nm -u "$work/whole" | awk '{print $NF}' >"$work/undefined"

# users KIND PATTERN: the sources in whose objects it is found.
users() {
  { grep -lE -- "$2" "$work"/*.o."$1" || true; } |
    xargs -r -n 1 basename -s ".o.$1" | paste -sd ' '
}

failed=0
fail() {
  echo "FAIL: $*"
  failed=1
}

while read -r symbol; do
  fail "undefined symbol $(c++filt "$symbol") ($symbol)," \
    "wanted by $(users symbols " $symbol\$")"
done < <(grep -vxFf "$here/allowed_symbols.txt" "$work/undefined")

# Whatever computes on the x87 stack loads something first.
for pattern in '%[xyz]mm' '%mm[0-7]' '\<fi?ld'; do
  sources=$(users code "$pattern")
  [[ -z $sources ]] || fail "vector or x87 code: $pattern, in $sources"
done

for section in init_array fini_array ctors dtors tdata tbss; do
  sources=$(users sections " \.$section\>")
  [[ -z $sources ]] || fail "section .$section, from $sources"
done

if ((failed == 0)); then
  wanted=$(paste -sd ' ' "$work/undefined")
  echo "$("$compiler" --version | sed -n 1p): $# sources are freestanding;" \
    "wanted from outside: ${wanted:-nothing}"
fi
exit "$failed"
