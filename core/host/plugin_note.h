// The note of a plugin, read from its file and compared with ours: nothing of
// the plugin runs for it (core/plugin.h).

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_NOTE_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_NOTE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plugin.h"

namespace worldswitch {

// The note in the file, whatever it says. Errors: the file cannot be read
// (NotFound: it is not there), is not a shared object for x86-64, is cut off,
// or has no note or two (FailedPrecondition).
absl::StatusOr<PluginNote> ReadPluginNote(const std::string& path);

// Ok if a plugin with this note may be loaded: version and every size are ours,
// and the name is one that a backend can have. FailedPrecondition otherwise.
absl::Status CheckPluginNote(const PluginNote& note);

// Whether a backend can have this name: a to z, 0 to 9 and '_', beginning with
// a letter, at most 31; not "auto".
bool IsBackendName(const std::string& name);

// Both of the above: the plugin's name.
absl::StatusOr<std::string> PluginNameOf(const std::string& path);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_NOTE_H_
