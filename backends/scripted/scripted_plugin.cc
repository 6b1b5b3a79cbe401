// The backend scripted as a plugin, by another name than the built-in one.

#include "backends/scripted/scripted_backend.h"
#include "core/host/plugin_adapter.h"
#include "core/plugin.h"

WORLDSWITCH_BACKEND_PLUGIN(
    "scripted_plugin",
    worldswitch::FactoryTable("scripted_plugin",
                              worldswitch::ScriptedBackendFactory))
