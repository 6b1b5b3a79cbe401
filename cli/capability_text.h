// Capability reports on the terminal and in JSON, for `probe`.

#ifndef WORLDSWITCH_CLI_CAPABILITY_TEXT_H_
#define WORLDSWITCH_CLI_CAPABILITY_TEXT_H_

#include <string>

#include "core/host/capability_report.h"
#include "nlohmann/json.hpp"

namespace worldswitch {

// Lines of at most 100 columns. Names that share a setting ("0 or 1", "yes")
// share a paragraph; what has a value of its own has a line of its own.
std::string CapabilityText(const CapabilityReport& report);

// {"vendor", "of", "source", "note", "registers": [{"name", "register",
// "value", "fields": {name: value}}]}. "value" is a hexadecimal string, and
// null of a group that is not one register.
nlohmann::ordered_json CapabilityJson(const CapabilityReport& report);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_CAPABILITY_TEXT_H_
