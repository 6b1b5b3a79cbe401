#include "lab/kernel_difference.h"

#include <cmath>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kMedian[] = "p50_instructions";
constexpr double kPercent = 100;

absl::StatusOr<Json> Parse(const std::string& text, const char* which) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() ||
      json.value("/context/unit"_json_pointer, "") != "instructions" ||
      !json.contains("worldswitch") || !json["worldswitch"].contains("rows")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the result ", which, " is not one that counts instructions"));
  }
  return json;
}

std::string KernelOf(const Json& json) {
  return json["context"]["fingerprint"].value("lab.kernel", "unknown kernel");
}

// "-", or the median.
std::optional<double> MedianOf(const Json& row) {
  if (!row.contains(kMedian)) return std::nullopt;
  return row[kMedian].get<double>();
}

std::string Figure(const std::optional<double>& value) {
  return value.has_value() ? absl::StrFormat("%.0f", *value) : "-";
}

std::string Line(const Json& before, const Json& after) {
  const std::optional<double> old = MedianOf(before);
  const std::optional<double> now = MedianOf(after);
  std::string line =
      absl::StrFormat("%-42s %-11s %9s %9s", after.value("name", ""),
                      after.value("verdict", ""), Figure(old), Figure(now));
  if (old.has_value() && now.has_value()) {
    const double change = *now - *old;
    absl::StrAppend(&line, change == 0
                               ? absl::StrFormat(" %9s %8s", "0", "")
                               : absl::StrFormat(" %+9.0f %+7.2f%%", change,
                                                 change / *old * kPercent));
  }
  const std::string was = before.value("verdict", "");
  if (was != after.value("verdict", "")) absl::StrAppend(&line, "  was ", was);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

}  // namespace

absl::StatusOr<std::string> KernelDifference(const std::string& before,
                                             const std::string& after) {
  absl::StatusOr<Json> old = Parse(before, "before");
  if (!old.ok()) return old.status();
  absl::StatusOr<Json> now = Parse(after, "after");
  if (!now.ok()) return now.status();
  std::map<std::string, Json> old_rows;
  for (const Json& row : (*old)["worldswitch"]["rows"]) {
    old_rows[row.value("name", "")] = row;
  }
  std::string text =
      absl::StrCat("before: ", KernelOf(*old), "\nafter:  ", KernelOf(*now),
                   "\nunit:   instructions, the median round "
                   "trip of each exit, guest to guest\n\n");
  absl::StrAppendFormat(&text, "%-42s %-11s %9s %9s %9s\n", "exit", "verdict",
                        "before", "after", "change");
  int changed = 0;
  int compared = 0;
  for (const Json& row : (*now)["worldswitch"]["rows"]) {
    const auto match = old_rows.find(row.value("name", ""));
    if (match == old_rows.end()) continue;
    const std::optional<double> median = MedianOf(row);
    if (!median.has_value() && !MedianOf(match->second).has_value()) continue;
    ++compared;
    if (median != MedianOf(match->second)) ++changed;
    absl::StrAppend(&text, Line(match->second, row));
  }
  absl::StrAppend(&text, "\n", changed, " of ", compared,
                  " rows changed. The counts are exact: 0 means the same "
                  "number of instructions.\n");
  return text;
}

}  // namespace worldswitch
