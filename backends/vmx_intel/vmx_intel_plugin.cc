// The backend vmx_intel as a plugin, by another name than the built-in one.

#include "backends/vmx_intel/vmx_backend.h"
#include "core/host/plugin_adapter.h"
#include "core/plugin.h"

WORLDSWITCH_BACKEND_PLUGIN(
    "vmx_intel_plugin",
    worldswitch::FactoryTable("vmx_intel_plugin",
                              worldswitch::VmxBackendFactory))
