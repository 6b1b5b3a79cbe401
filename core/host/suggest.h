// What to say about a name that nobody knows: the nearest one, and all there
// are. For backends, parameters, knobs, and whatever else a user types.

#ifndef WORLDSWITCH_CORE_HOST_SUGGEST_H_
#define WORLDSWITCH_CORE_HOST_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace worldswitch {

// The known name that `name` is most likely a slip of the keyboard for, or ""
// where none is near: at most a third of its letters, rounded up, may be wrong.
std::string NearestName(absl::string_view name,
                        const std::vector<std::string>& known);

// "; did you mean \"kvm\"? Known: kvm, scripted". Empty `known`: "; there are
// none".
std::string KnownNames(absl::string_view name,
                       const std::vector<std::string>& known);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_SUGGEST_H_
