#include "core/host/bit_field_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace worldswitch {
namespace {

constexpr char kUndefined[] = "undefined bits";

void Append(std::string* text, const std::string& part) {
  absl::StrAppend(text, text->empty() ? "" : ", ", part);
}

}  // namespace

std::string BitFieldValue(const BitField& field, std::uint64_t word) {
  const std::uint64_t value = field.Of(word);
  switch (field.kind) {
    case BitFieldKind::kFlag:
      return value != 0 ? "yes" : "no";
    case BitFieldKind::kNumber:
      return absl::StrCat(value);
    case BitFieldKind::kHex:
      return absl::StrFormat("%#x", value);
    case BitFieldKind::kChoice:
      break;
  }
  const char* const choice = field.ChoiceOf(word);
  return choice != nullptr ? std::string(choice)
                           : absl::StrCat("reserved value ", value);
}

std::string DescribeBitFields(BitFields fields, std::uint64_t word) {
  std::string text;
  for (const BitField& field : fields) {
    if (!field.AppliesTo(word)) continue;
    if (field.kind != BitFieldKind::kFlag) {
      Append(&text, absl::StrCat(field.name, " ", BitFieldValue(field, word)));
    } else if (field.IsSet(word)) {
      Append(&text, field.name);
    }
  }
  if (const std::uint64_t bits = UndefinedBits(fields, word); bits != 0) {
    Append(&text, absl::StrFormat("%s %#x", kUndefined, bits));
  }
  return text;
}

std::vector<Fact> BitFieldFacts(BitFields fields, std::uint64_t word) {
  std::vector<Fact> facts;
  for (const BitField& field : fields) {
    if (field.AppliesTo(word)) {
      facts.push_back({field.name, BitFieldValue(field, word)});
    }
  }
  if (const std::uint64_t bits = UndefinedBits(fields, word); bits != 0) {
    facts.push_back({kUndefined, absl::StrFormat("%#x", bits)});
  }
  return facts;
}

}  // namespace worldswitch
