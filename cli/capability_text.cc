#include "cli/capability_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace worldswitch {
namespace {

constexpr std::size_t kColumns = 100;
// Values that many names have in common.
constexpr std::array<const char*, 5> kSettings = {"always 1", "0 or 1",
                                                  "always 0", "yes", "no"};

bool IsSetting(const std::string& value) {
  return std::find(kSettings.begin(), kSettings.end(), value) !=
         kSettings.end();
}

// `words` behind `first`, broken between words; further lines are indented.
std::string Wrap(const std::string& first, const std::string& words,
                 std::size_t indent) {
  std::string text;
  std::string line = first;
  for (const absl::string_view word :
       absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    if (line.size() > indent && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&text, line, "\n");
      line = std::string(indent, ' ');
      absl::StrAppend(&line, word);
    } else {
      absl::StrAppend(&line, line.empty() || line.back() == ' ' ? "" : " ",
                      word);
    }
  }
  return absl::StrCat(text, line, "\n");
}

std::string GroupText(const CapabilityGroup& group) {
  std::string title = absl::StrCat(group.name, ": ", group.register_name);
  if (group.value.has_value()) {
    absl::StrAppendFormat(&title, " = %#x", *group.value);
  }
  std::string text = Wrap("    ", title, 8);
  for (const Fact& fact : group.facts) {
    if (!IsSetting(fact.value)) {
      absl::StrAppend(
          &text, Wrap("      ", absl::StrCat(fact.name, ": ", fact.value), 8));
    }
  }
  for (const char* const setting : kSettings) {
    std::string names;
    for (const Fact& fact : group.facts) {
      if (fact.value == setting) {
        absl::StrAppend(&names, names.empty() ? "" : ", ", fact.name);
      }
    }
    if (!names.empty()) {
      absl::StrAppend(&text, Wrap(absl::StrFormat("      %-9s ",
                                                  absl::StrCat(setting, ":")),
                                  names, 16));
    }
  }
  return text;
}

}  // namespace

std::string CapabilityText(const CapabilityReport& report) {
  std::string text = Wrap(
      "  ",
      absl::StrCat(report.vendor, ", ", report.of, " (", report.source, ")"),
      4);
  if (!report.note.empty())
    absl::StrAppend(&text, Wrap("    ", report.note, 4));
  for (const CapabilityGroup& group : report.groups) {
    absl::StrAppend(&text, GroupText(group));
  }
  return text;
}

nlohmann::ordered_json CapabilityJson(const CapabilityReport& report) {
  nlohmann::ordered_json json = {{"vendor", report.vendor},
                                 {"of", report.of},
                                 {"source", report.source},
                                 {"note", report.note}};
  json["registers"] = nlohmann::ordered_json::array();
  for (const CapabilityGroup& group : report.groups) {
    nlohmann::ordered_json shown = {{"name", group.name},
                                    {"register", group.register_name},
                                    {"value", nullptr}};
    if (group.value.has_value()) {
      shown["value"] = absl::StrFormat("%#x", *group.value);
    }
    shown["fields"] = nlohmann::ordered_json::object();
    for (const Fact& fact : group.facts) {
      shown["fields"][fact.name] = fact.value;
    }
    json["registers"].push_back(std::move(shown));
  }
  return json;
}

}  // namespace worldswitch
