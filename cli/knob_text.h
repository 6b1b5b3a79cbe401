// Knobs, for people and for programs.

#ifndef WORLDSWITCH_CLI_KNOB_TEXT_H_
#define WORLDSWITCH_CLI_KNOB_TEXT_H_

#include <string>

#include "core/host/knob.h"
#include "nlohmann/json.hpp"

namespace worldswitch {

// An array with an object for each knob.
nlohmann::ordered_json KnobsJson(const KnobSet& knobs);

// Two lines for each knob and, where it cannot be set here, one that says why;
// at most 100 columns wide, grouped by scope.
std::string KnobsText(const KnobSet& knobs);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_KNOB_TEXT_H_
