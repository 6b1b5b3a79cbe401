// A plugin in this process: its file checked and loaded, its table looked at.
//
// Loaded for good. A kick handle may outlive vCPU, VM and backend (KICK.4), and
// then leads into the plugin's code; and threads, exit handlers and
// thread-local data of the plugin are nobody's business but its own. So there
// is no way to unload one, not even an indirect one.

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_LIBRARY_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_LIBRARY_H_

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/host/backend.h"
#include "core/plugin.h"

namespace worldswitch {

// What a plugin says of itself.
struct PluginDescription {
  std::string name;
  std::string summary;
  std::vector<Fact> parameters;
  bool is_machine = false;
};

// The plugin's table, with its note read from the file and checked first: where
// it is not ours, nothing of the plugin runs. FailedPrecondition: not a plugin,
// another ABI, no entry point, a table that makes no sense.
absl::StatusOr<const PluginTable*> LoadPlugin(const std::string& path);

// Checks everything in the table, and copies it out. name: that of the note.
absl::StatusOr<PluginDescription> DescribePlugin(const PluginTable& table,
                                                 const std::string& name);

// What was found out about a plugin that this process has not loaded.
struct PluginInspection {
  PluginDescription description;
  absl::Status probed;  // its own word whether it is usable here
};

// Loads, describes and probes it in a child process: a plugin that crashes,
// throws, hangs or answers rubbish there is refused with that for a reason.
absl::StatusOr<PluginInspection> InspectPlugin(const std::string& path,
                                               std::chrono::milliseconds limit);

// ---- For whoever calls a plugin ----

// A sink over a string; at most 64 KiB of it are taken.
PluginText TextSink(std::string* text);

// Code and text as a status. A code that there is not: Internal.
absl::Status PluginStatus(PluginCode code, const std::string& text);

// Calls `call`; Internal where it throws, with `what` and what it threw.
absl::Status Guarded(const std::string& what,
                     const std::function<void()>& call);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_LIBRARY_H_
