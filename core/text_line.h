// A line of text without a heap: what a clause expected and saw, a failure by
// its name, a register in a dump. Whatever does not fit is cut off.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_TEXT_LINE_H_
#define WORLDSWITCH_CORE_TEXT_LINE_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

class TextLine {
 public:
  TextLine& Append(const char* text) {
    for (; *text != '\0'; ++text) AppendChar(*text);
    return *this;
  }
  TextLine& AppendDecimal(std::uint64_t value) {
    return AppendDigits(value, 10);
  }
  // digits: at least so many, with leading zeros; 1 to 16.
  TextLine& AppendHex(std::uint64_t value, int digits = 1) {
    return Append("0x").AppendDigits(value, 16, digits);
  }
  // Blanks up to that column.
  TextLine& PadTo(std::size_t column) {
    while (size_ < column && size_ + 1 < sizeof(text_)) AppendChar(' ');
    return *this;
  }

  const char* c_str() const { return text_; }
  bool empty() const { return size_ == 0; }

 private:
  void AppendChar(char c) {
    if (size_ + 1 >= sizeof(text_)) return;
    text_[size_++] = c;
    text_[size_] = '\0';
  }
  TextLine& AppendDigits(std::uint64_t value, std::uint32_t base,
                         int least = 1) {
    char digits[21];
    char* first = digits + sizeof(digits) - 1;
    *first = '\0';
    do {
      *--first = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0 || digits + sizeof(digits) - 1 - first < least);
    return Append(first);
  }

  char text_[320] = "";
  std::size_t size_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_TEXT_LINE_H_
