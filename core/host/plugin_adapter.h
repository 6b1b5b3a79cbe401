// The other direction: a Backend, or a BackendFactory, as the tables of
// core/plugin.h. For programs that lend a backend to a plugin, and for plugins
// that are written against the host floor rather than against the tables:
//
//   WORLDSWITCH_BACKEND_PLUGIN(
//       "kvm_plugin",
//       worldswitch::FactoryTable("kvm_plugin",
//       worldswitch::KvmBackendFactory))

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_ADAPTER_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_ADAPTER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "core/host/backend.h"
#include "core/plugin.h"

namespace worldswitch {

// A backend as a PluginBackend; whoever gets it closes it, after its VMs.
PluginBackend LendBackend(std::unique_ptr<Backend> backend);

// The table of what `make` gives, called at the first call of this; the same
// one ever after, so a plugin can have one. name: what the backend is called,
// whatever the factory calls it; must live for ever.
const PluginTable* FactoryTable(const char* name, BackendFactory (*make)());

// What `call` says, as code and text; an exception is kInternal.
PluginCode PassOn(PluginText* why, const std::function<absl::Status()>& call);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_ADAPTER_H_
