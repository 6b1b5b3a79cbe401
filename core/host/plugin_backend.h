// A plugin's backend as a Backend: what the rest of a program sees of it.

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_BACKEND_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_BACKEND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/host/backend.h"
#include "core/plugin.h"

namespace worldswitch {

// Opens it with the parameters of `spec`. The backend's VMs are VMs of the
// plugin, with vCPUs that are the plugin's own: vcpu() hands them out as they
// are, and calling their ops costs what it costs of a built-in backend. A VM
// keeps what it came from alive: the Backend may go before it.
//
// registry: what the plugin may open other backends from; outlives the backend
// and its VMs. Errors: the plugin's own; Internal where it throws or what it
// gives makes no sense.
absl::StatusOr<std::unique_ptr<Backend>> OpenPluginBackend(
    const PluginTable& table, const BackendSpec& spec,
    const BackendRegistry& registry);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_BACKEND_H_
