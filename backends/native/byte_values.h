// The lowest bytes of a value. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_BYTE_VALUES_H_
#define WORLDSWITCH_BACKENDS_NATIVE_BYTE_VALUES_H_

#include <cstdint>

namespace worldswitch {

// bytes: 1 to 8.
constexpr std::uint64_t SignExtend(std::uint64_t value, unsigned bytes) {
  const unsigned shift = 64 - 8 * bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >>
                                    shift);
}

constexpr std::uint64_t LowBytes(std::uint64_t value, unsigned bytes) {
  return bytes >= 8 ? value : value & ((std::uint64_t{1} << (8 * bytes)) - 1);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_BYTE_VALUES_H_
