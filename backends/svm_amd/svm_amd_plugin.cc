// The backend svm_amd as a plugin, by another name than the built-in one.

#include "backends/svm_amd/svm_backend.h"
#include "core/host/plugin_adapter.h"
#include "core/plugin.h"

WORLDSWITCH_BACKEND_PLUGIN(
    "svm_amd_plugin",
    worldswitch::FactoryTable("svm_amd_plugin", worldswitch::SvmBackendFactory))
