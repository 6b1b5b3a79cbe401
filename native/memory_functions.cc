// The four functions that a compiler calls on its own. By string instructions,
// so that none of them is compiled into a call of itself.

#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
  void* at = to;
  std::size_t words = bytes / 8;
  asm volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
  bytes %= 8;
  asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
  return to;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
  const auto distance = reinterpret_cast<std::uintptr_t>(to) -
                        reinterpret_cast<std::uintptr_t>(from);
  if (distance >= bytes) return memcpy(to, from, bytes);
  // The end of `from` would be overwritten before it is read: backwards.
  auto* at = static_cast<unsigned char*>(to) + bytes - 1;
  const auto* source = static_cast<const unsigned char*>(from) + bytes - 1;
  asm volatile("std\n\trep movsb\n\tcld"
               : "+D"(at), "+S"(source), "+c"(bytes)
               :
               : "memory");
  return to;
}

void* memset(void* to, int value, std::size_t bytes) {
  void* at = to;
  std::size_t words = bytes / 8;
  const std::uint64_t pattern =
      static_cast<std::uint8_t>(value) * std::uint64_t{0x0101010101010101};
  asm volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
  bytes %= 8;
  asm volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(pattern) : "memory");
  return to;
}

int memcmp(const void* left, const void* right, std::size_t bytes) {
  const auto* a = static_cast<const volatile unsigned char*>(left);
  const auto* b = static_cast<const volatile unsigned char*>(right);
  for (std::size_t i = 0; i < bytes; ++i) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

}  // extern "C"
