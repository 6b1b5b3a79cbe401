#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "core/host/wrap.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kIndent = 4;

// Where a backend came from, and what it says of this host.
struct Row {
  BackendListing listing;
  const BackendFactory* factory = nullptr;  // null: refused
  absl::Status usable;
};

Row Judge(const BackendListing& listing) {
  Row row = {.listing = listing, .usable = listing.status};
  if (!listing.status.ok()) return row;
  // By its file, where it has one: its name says no more.
  absl::StatusOr<const BackendFactory*> factory =
      Backends().Find(listing.origin.empty() ? listing.name : listing.origin);
  if (!factory.ok()) {
    row.usable = factory.status();
    return row;
  }
  row.factory = *factory;
  row.usable = (*factory)->probe ? (*factory)->probe() : absl::OkStatus();
  return row;
}

std::string Verdict(const Row& row) {
  if (row.usable.ok()) return "usable";
  return row.factory == nullptr ? "refused" : "not usable here";
}

std::string Origin(const Row& row) {
  return row.listing.origin.empty() ? "built in" : row.listing.origin;
}

Json ToJson(const Row& row) {
  Json json = {{"name", row.listing.name},
               {"origin", Origin(row)},
               {"built_in", row.listing.origin.empty()},
               {"usable", row.usable.ok()},
               {"refused", row.factory == nullptr}};
  if (!row.usable.ok()) json["why_not"] = row.usable.message();
  if (row.factory == nullptr) return json;
  json["summary"] = row.factory->summary;
  json["machine"] = row.factory->is_machine;
  json["parameters"] = Json::object();
  for (const Fact& parameter : row.factory->parameters) {
    json["parameters"][parameter.name] = parameter.value;
  }
  return json;
}

std::string ToText(const Row& row) {
  const std::string name =
      row.listing.name.empty() ? "(no name)" : row.listing.name;
  const std::string indent(kIndent, ' ');
  std::string text =
      Wrap(absl::StrCat(name, ": ", Verdict(row), "; ", Origin(row)), kIndent);
  if (!row.usable.ok()) {
    absl::StrAppend(&text,
                    Wrap(absl::StrCat(indent, row.usable.message()), kIndent));
  }
  if (row.factory == nullptr) return text;
  absl::StrAppend(&text,
                  Wrap(absl::StrCat(indent, row.factory->summary), kIndent));
  for (const Fact& parameter : row.factory->parameters) {
    absl::StrAppend(&text, Wrap(absl::StrCat(indent, parameter.name,
                                             "=: ", parameter.value),
                                2 * kIndent));
  }
  return text;
}

int RunBackends(bool as_json) {
  Json all = Json::array();
  for (const BackendListing& listing : Backends().List()) {
    const Row row = Judge(listing);
    if (as_json) {
      all.push_back(ToJson(row));
    } else {
      std::cout << ToText(row);
    }
  }
  if (as_json) std::cout << Json{{"backends", all}}.dump(1) << "\n";
  return kExitOk;
}

}  // namespace

void AddBackendsCommand(CLI::App& app, const ChooseCommand& choose) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* backends = app.add_subcommand(
      "backends",
      "Show every backend: where it came from, whether it is usable here, and\n"
      "why not where it is not. Plugins are looked for in lib/worldswitch/\n"
      "backends of the prefix and in WORLDSWITCH_BACKEND_PATH.");
  backends->add_flag("--json", *as_json, "as JSON");
  backends->callback([as_json, choose] {
    choose([as_json] { return RunBackends(*as_json); });
  });
}

}  // namespace worldswitch
