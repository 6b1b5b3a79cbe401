// A line of text, put together without a heap: for logs, reports and checks.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_TEXT_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::svm {

// What does not fit is cut off.
class Line {
 public:
  Line& Text(const char* text) {
    for (; *text != '\0'; ++text) Put(*text);
    return *this;
  }
  // digits: at least so many, with leading zeros.
  Line& Hex(std::uint64_t value, int digits = 1) {
    Text("0x");
    for (int i = 15; i >= 0; --i) {
      const std::uint64_t rest = value >> (4 * i);
      if (i >= digits && rest == 0) continue;
      Put("0123456789abcdef"[rest & 15]);
    }
    return *this;
  }
  Line& Decimal(std::uint64_t value) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count > 0) Put(digits[--count]);
    return *this;
  }
  Line& PadTo(std::size_t width) {
    while (size_ < width && size_ < kSize) Put(' ');
    return *this;
  }
  const char* c_str() const { return text_; }

 private:
  static constexpr std::size_t kSize = 255;

  void Put(char character) {
    if (size_ == kSize) return;
    text_[size_++] = character;
    text_[size_] = '\0';
  }

  std::size_t size_ = 0;
  char text_[kSize + 1] = "";
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_TEXT_H_
