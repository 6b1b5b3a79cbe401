#include "backends/native/native_knob.h"

namespace worldswitch {
namespace {

bool Equals(const char* text, std::size_t length, const char* word) {
  std::size_t i = 0;
  for (; i < length; ++i) {
    if (word[i] == '\0' || word[i] != text[i]) return false;
  }
  return word[i] == '\0';
}

// Decimal, or hexadecimal behind 0x.
bool ParseInteger(const char* text, std::size_t length, std::uint64_t* value) {
  std::uint64_t base = 10;
  std::size_t at = 0;
  if (length > 2 && text[0] == '0' && text[1] == 'x') {
    base = 16;
    at = 2;
  }
  if (at == length) return false;
  std::uint64_t sum = 0;
  for (; at < length; ++at) {
    const char c = text[at];
    std::uint64_t digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<std::uint64_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<std::uint64_t>(c - 'a') + 10;
    if (digit >= base || sum > (~std::uint64_t{0} - digit) / base) return false;
    sum = sum * base + digit;
  }
  *value = sum;
  return true;
}

KnobParse ParseValue(const NativeKnob& knob, const char* text,
                     std::size_t length, std::uint64_t* value) {
  if (knob.choices[0] == nullptr) {
    std::uint64_t number = 0;
    if (!ParseInteger(text, length, &number) || number < knob.minimum ||
        number > knob.maximum) {
      return KnobParse::kBadValue;
    }
    *value = number;
    return KnobParse::kOk;
  }
  for (std::size_t i = 0; i < kMaxKnobChoices; ++i) {
    if (knob.choices[i] == nullptr) break;
    if (Equals(text, length, knob.choices[i])) {
      *value = i;
      return KnobParse::kOk;
    }
  }
  return KnobParse::kBadValue;
}

}  // namespace

NativeKnobValues::NativeKnobValues(const NativeKnobTable& table)
    : table_(table) {
  for (std::size_t i = 0; i < table.size && i < kMaxNativeKnobs; ++i) {
    values_[i] = table.knobs[i].default_value;
  }
}

KnobParse NativeKnobValues::Set(const char* text, std::size_t length) {
  std::size_t name = 0;
  while (name < length && text[name] != '=') ++name;
  if (name == length) return KnobParse::kBadValue;
  for (std::size_t i = 0; i < table_.size && i < kMaxNativeKnobs; ++i) {
    if (!Equals(text, name, table_.knobs[i].name)) continue;
    return ParseValue(table_.knobs[i], text + name + 1, length - name - 1,
                      &values_[i]);
  }
  return KnobParse::kNoSuchKnob;
}

}  // namespace worldswitch
