#include "lab/exit_path_table.h"

#include <cstddef>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kMedian[] = "p50_instructions";

bool CountsInstructions(const Json& json) {
  return !json.is_discarded() &&
         json.value("/context/unit"_json_pointer, "") == "instructions" &&
         json.contains("/worldswitch/rows"_json_pointer);
}

std::string Cell(const Json& row) {
  std::string verdict = row.value("verdict", "");
  if (!row.contains(kMedian)) return verdict;
  std::string count = absl::StrFormat("%.0f", row[kMedian].get<double>());
  if (verdict == "proven") return count;
  return verdict == "no exit" ? absl::StrCat("(", count, ")") : verdict;
}

}  // namespace

absl::StatusOr<std::string> ExitPathTable(
    const std::vector<std::string>& results) {
  if (results.empty()) return absl::InvalidArgumentError("no result is given");
  std::vector<Json> labs;
  std::vector<std::map<std::string, Json>> rows;
  std::string text;
  std::string head = "| exit |";
  std::string rule = "|---|";
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Json json = Json::parse(results[i], nullptr, false);
    if (!CountsInstructions(json)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "result ", i + 1, " is not one that counts instructions"));
    }
    const Json& context = json["context"];
    const Json& facts = context["fingerprint"];
    const std::string engine = context.value("engine", "unknown engine");
    const std::string model = facts.value("lab.cpu_model", "unknown CPU");
    absl::StrAppend(&text, i + 1, ". ", engine, " of ",
                    facts.value("lab.kernel", "unknown kernel"), ", ",
                    facts.value("lab.emulator", "unknown emulator"),
                    ", CPU model ", model, ", mitigations ",
                    facts.value("lab.mitigations", "unknown"), "\n");
    absl::StrAppend(&head, " ", i + 1, ". ", engine, ", ", model, " |");
    absl::StrAppend(&rule, "--:|");
    std::map<std::string, Json>& by_name = rows.emplace_back();
    for (const Json& row : json["worldswitch"]["rows"]) {
      by_name[row.value("name", "")] = row;
    }
    labs.push_back(json);
  }
  absl::StrAppend(&text, "\n", head, "\n", rule, "\n");
  for (const Json& row : labs.front()["worldswitch"]["rows"]) {
    const std::string name = row.value("name", "");
    std::string line = absl::StrCat("| ", name, " |");
    bool any = false;
    for (const std::map<std::string, Json>& lab : rows) {
      const auto found = lab.find(name);
      const bool known = found != lab.end();
      any = any || (known && found->second.contains(kMedian));
      absl::StrAppend(&line, " ", known ? Cell(found->second) : "-", " |");
    }
    if (any) absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace worldswitch
