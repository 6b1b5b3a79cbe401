#include "native/text.h"

namespace worldswitch::native {
namespace {

// -1: no digit.
int DigitOf(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return -1;
}

}  // namespace

std::size_t Length(const char* text) {
  std::size_t size = 0;
  while (text[size] != 0) ++size;
  return size;
}

bool Equal(TextView view, const char* text) {
  for (std::size_t i = 0; i < view.size; ++i) {
    if (text[i] == 0 || view.data[i] != text[i]) return false;
  }
  return text[view.size] == 0;
}

bool Equal(const char* left, const char* right) {
  return Equal(TextView{.data = left, .size = Length(left)}, right);
}

bool GlobMatches(TextView glob, const char* text) {
  // At a mismatch the last star takes one character more.
  std::size_t at = 0;
  std::size_t star = glob.size;
  const char* star_text = nullptr;
  while (*text != 0) {
    if (at < glob.size && glob.data[at] == '*') {
      star = at++;
      star_text = text;
    } else if (at < glob.size &&
               (glob.data[at] == '?' || glob.data[at] == *text)) {
      ++at;
      ++text;
    } else if (star_text != nullptr) {
      at = star + 1;
      text = ++star_text;
    } else {
      return false;
    }
  }
  while (at < glob.size && glob.data[at] == '*') ++at;
  return at == glob.size;
}

bool ParseNumber(TextView view, std::uint64_t* value) {
  std::uint64_t base = 10;
  std::size_t i = 0;
  if (view.size > 2 && view.data[0] == '0' && view.data[1] == 'x') {
    base = 16;
    i = 2;
  }
  if (i == view.size) return false;
  std::uint64_t number = 0;
  for (; i < view.size; ++i) {
    const int digit = DigitOf(view.data[i]);
    if (digit < 0 || static_cast<std::uint64_t>(digit) >= base) return false;
    const auto added = static_cast<std::uint64_t>(digit);
    if (number > (~std::uint64_t{0} - added) / base) return false;
    number = number * base + added;
  }
  *value = number;
  return true;
}

}  // namespace worldswitch::native
