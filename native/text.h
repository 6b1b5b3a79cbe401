// Strings without a library: what the image compares and parses. Freestanding.

#ifndef WORLDSWITCH_NATIVE_TEXT_H_
#define WORLDSWITCH_NATIVE_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::native {

// Bytes of somebody else's; need not end with zero.
struct TextView {
  const char* data = nullptr;
  std::size_t size = 0;
};

std::size_t Length(const char* text);
bool Equal(TextView view, const char* text);
bool Equal(const char* left, const char* right);
// '*' stands for any number of characters, '?' for one.
bool GlobMatches(TextView glob, const char* text);
// All of view as a decimal number, or with 0x a hexadecimal one. False: it is
// none, or does not fit.
bool ParseNumber(TextView view, std::uint64_t* value);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_TEXT_H_
