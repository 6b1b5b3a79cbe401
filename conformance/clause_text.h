// A line of text without a heap: what a clause expected, and what it saw.
// Whatever does not fit is cut off.

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_TEXT_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

class ClauseText {
 public:
  ClauseText& Append(const char* text) {
    for (; *text != '\0'; ++text) AppendChar(*text);
    return *this;
  }
  ClauseText& AppendDecimal(std::uint64_t value) {
    return AppendDigits(value, 10);
  }
  ClauseText& AppendHex(std::uint64_t value) {
    return Append("0x").AppendDigits(value, 16);
  }

  const char* c_str() const { return text_; }
  bool empty() const { return size_ == 0; }

 private:
  void AppendChar(char c) {
    if (size_ + 1 >= sizeof(text_)) return;
    text_[size_++] = c;
    text_[size_] = '\0';
  }
  ClauseText& AppendDigits(std::uint64_t value, std::uint32_t base) {
    char digits[21];
    char* first = digits + sizeof(digits) - 1;
    *first = '\0';
    do {
      *--first = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    return Append(first);
  }

  char text_[320] = "";
  std::size_t size_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_CLAUSE_TEXT_H_
