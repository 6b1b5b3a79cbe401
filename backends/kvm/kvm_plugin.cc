// The backend kvm as a plugin, by another name than the built-in one.

#include "backends/kvm/kvm_backend.h"
#include "core/host/plugin_adapter.h"
#include "core/plugin.h"

WORLDSWITCH_BACKEND_PLUGIN(
    "kvm_plugin",
    worldswitch::FactoryTable("kvm_plugin", worldswitch::KvmBackendFactory))
