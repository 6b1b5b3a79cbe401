#include "core/host/knob.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/host/suggest.h"

namespace worldswitch {
namespace {

bool IsInRange(const Knob& knob, const std::string& value) {
  switch (knob.type) {
    case KnobType::kBool:
      return ParseKnobBool(value).ok();
    case KnobType::kInteger: {
      std::int64_t decimal = 0;
      if (knob.scope == KnobScope::kHost &&
          !absl::SimpleAtoi(value, &decimal)) {
        return false;
      }
      const absl::StatusOr<std::int64_t> number = ParseKnobInteger(value);
      return number.ok() && *number >= knob.minimum && *number <= knob.maximum;
    }
    case KnobType::kChoice:
      return std::find(knob.choices.begin(), knob.choices.end(), value) !=
             knob.choices.end();
    case KnobType::kFlags: {
      const std::vector<std::string> parts = ParseKnobFlags(value);
      return !value.empty() &&
             std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
               return std::find(knob.choices.begin(), knob.choices.end(),
                                part) != knob.choices.end();
             });
    }
  }
  return false;
}

}  // namespace

const char* KnobScopeName(KnobScope scope) {
  switch (scope) {
    case KnobScope::kHost:
      return "host";
    case KnobScope::kVm:
      return "vm";
    case KnobScope::kVcpu:
      return "vcpu";
  }
  return "(no such scope)";
}

const char* KnobTypeName(KnobType type) {
  switch (type) {
    case KnobType::kBool:
      return "bool";
    case KnobType::kInteger:
      return "integer";
    case KnobType::kChoice:
      return "choice";
    case KnobType::kFlags:
      return "flags";
  }
  return "(no such type)";
}

std::string KnobRange(const Knob& knob) {
  switch (knob.type) {
    case KnobType::kBool:
      return "on, off";
    case KnobType::kInteger:
      return absl::StrCat(knob.minimum, " to ", knob.maximum);
    case KnobType::kChoice:
      return absl::StrJoin(knob.choices, ", ");
    case KnobType::kFlags:
      return absl::StrCat("none, or joined by +: ",
                          absl::StrJoin(knob.choices, ", "));
  }
  return "";
}

const Knob* KnobSet::Find(absl::string_view name) const {
  const auto found =
      std::find_if(knobs_.begin(), knobs_.end(),
                   [name](const Knob& knob) { return knob.name == name; });
  return found == knobs_.end() ? nullptr : &*found;
}

absl::Status KnobSet::Check(const KnobSettings& settings) const {
  for (const auto& [name, value] : settings) {
    const Knob* knob = Find(name);
    if (knob == nullptr) {
      std::vector<std::string> known;
      for (const Knob& each : knobs_) known.push_back(each.name);
      return absl::InvalidArgumentError(
          absl::StrCat("no knob \"", name, "\"", KnownNames(name, known)));
    }
    if (!knob->not_settable.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "knob \"", name, "\" cannot be set here: ", knob->not_settable));
    }
    if (!IsInRange(*knob, value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "knob \"", name, "\" cannot be \"", value, "\"; it takes ",
          KnobRange(*knob), knob->unit.empty() ? "" : " ", knob->unit));
    }
  }
  return absl::OkStatus();
}

std::string KnobSet::ValueOf(absl::string_view name,
                             const KnobSettings& settings) const {
  const auto set = settings.find(std::string(name));
  if (set != settings.end()) return set->second;
  const Knob* knob = Find(name);
  return knob == nullptr ? "" : knob->default_value;
}

absl::Status ParseKnobSetting(absl::string_view text, KnobSettings* settings) {
  const std::size_t equals = text.find('=');
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has no \"=\"; write key=value"));
  }
  std::string key(absl::StripAsciiWhitespace(text.substr(0, equals)));
  std::string value(absl::StripAsciiWhitespace(text.substr(equals + 1)));
  if (key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" has nothing before the \"=\"; write key=value"));
  }
  const auto [place, is_new] = settings->emplace(key, value);
  if (!is_new) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\" is given twice: \"", place->second,
                     "\" and \"", value, "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ParseKnobBool(absl::string_view value) {
  const std::string lower = absl::AsciiStrToLower(value);
  for (const char* yes : {"on", "true", "yes", "1"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"off", "false", "no", "0"}) {
    if (lower == no) return false;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", value, "\" is neither on (true, yes, 1) nor off (false, no, 0)"));
}

absl::StatusOr<std::int64_t> ParseKnobInteger(absl::string_view value) {
  std::int64_t number = 0;
  if (absl::SimpleAtoi(value, &number)) return number;
  std::uint64_t bits = 0;
  if (absl::StartsWithIgnoreCase(value, "0x") &&
      absl::SimpleHexAtoi(value, &bits) && bits <= INT64_MAX) {
    return static_cast<std::int64_t>(bits);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", value, "\" is not a number"));
}

std::vector<std::string> ParseKnobFlags(absl::string_view value) {
  if (value.empty() || value == "none") return {};
  return absl::StrSplit(value, '+');
}

}  // namespace worldswitch
