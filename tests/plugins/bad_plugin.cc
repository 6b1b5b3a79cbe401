// One plugin that is wrong in one way: WS_KIND names it, WS_NAME is its name.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "core/plugin.h"

namespace {

using worldswitch::PluginBackend;
using worldswitch::PluginBackendOps;
using worldswitch::PluginCode;
using worldswitch::PluginElfNote;
using worldswitch::PluginHost;
using worldswitch::PluginPair;
using worldswitch::PluginTable;
using worldswitch::PluginText;
using worldswitch::PluginVmConfig;
using worldswitch::VmOps;

enum class Kind : std::uint8_t {
  kGood,  // as far as opening: for names
  kNoNote,
  kTwoNotes,
  kWrongAbi,
  kWrongSize,
  kWrongName,
  kNoSymbol,
  kConstructorAborts,
  kEntryThrows,
  kNoTable,
  kRubbishTable,
  kOtherName,
  kNoFunctions,
  kParametersWithoutEnd,
  kProbeCrashes,
  kProbeThrows,
  kProbeHangs,
  kProbeExits,
  kProbeAnswersRubbish,
  kUnusable,
  kOpenThrows,
  kOpensNothing,
  kOpensRubbish,
  kMakesNoVm,
};
constexpr Kind kKind = Kind::WS_KIND;

// Tells that code of this file ran, in the file that the test named.
void LeaveMark() {
  const char* const path = std::getenv("WS_PLUGIN_MARK");
  if (path == nullptr) return;
  if (std::FILE* const file = std::fopen(path, "a")) {
    std::fputs(WS_NAME "\n", file);
    std::fclose(file);
  }
}

[[gnu::constructor]] void AtLoad() {
  LeaveMark();
  if constexpr (kKind == Kind::kConstructorAborts || kKind == Kind::kWrongAbi) {
    std::abort();
  }
}

[[maybe_unused]] constexpr PluginElfNote Note() {
  PluginElfNote note = worldswitch::MakePluginElfNote(WS_NAME);
  if (kKind == Kind::kWrongAbi) note.descriptor.abi_version = 99;
  if (kKind == Kind::kWrongSize) note.descriptor.exit_size = 8;
  if (kKind == Kind::kWrongName) note.descriptor.name[0] = '/';
  return note;
}

PluginCode Probe(void* /*context*/, PluginText* why) {
  if constexpr (kKind == Kind::kProbeCrashes) {
    volatile std::uintptr_t nowhere = 8;
    *reinterpret_cast<volatile int*>(nowhere) = 1;
  } else if constexpr (kKind == Kind::kProbeThrows) {
    throw std::runtime_error("thrown by the probe");
  } else if constexpr (kKind == Kind::kProbeHangs) {
    for (;;) pause();
  } else if constexpr (kKind == Kind::kProbeExits) {
    _exit(0);
  } else if constexpr (kKind == Kind::kProbeAnswersRubbish) {
    return static_cast<PluginCode>(4711);
  } else if constexpr (kKind == Kind::kUnusable) {
    constexpr char kWhy[] = "there is no such machine here";
    why->append(why->context, kWhy, sizeof(kWhy) - 1);
    return PluginCode::kUnavailable;
  }
  return PluginCode::kOk;
}

void Close(void* /*self*/) {}
void Engine(void* /*self*/, PluginText* text) {
  text->append(text->context, "none", 4);
}
PluginCode CreateVm(void* /*self*/, const PluginVmConfig* /*config*/,
                    VmOps** vm, PluginText* /*why*/) {
  *vm = nullptr;
  return PluginCode::kOk;
}
void DestroyVm(void* /*self*/, VmOps* /*vm*/) {}

constexpr PluginBackendOps kOps = {
    .size = sizeof(PluginBackendOps),
    .close = Close,
    .name = nullptr,
    .engine = Engine,
    .unit = nullptr,
    .facts = nullptr,
    .knobs = nullptr,
    .create_vm = kKind == Kind::kOpensRubbish ? nullptr : CreateVm,
    .destroy_vm = DestroyVm,
    .explain = nullptr};

PluginCode Open(void* /*context*/, const PluginHost* /*host*/,
                const PluginPair* /*parameters*/, std::uint32_t /*count*/,
                PluginBackend* backend, PluginText* /*why*/) {
  if constexpr (kKind == Kind::kOpenThrows) throw 7;
  if constexpr (kKind != Kind::kOpensNothing) backend->ops = &kOps;
  return PluginCode::kOk;
}

constexpr PluginPair kParameters[] = {{"colour", "what it looks like"}};

constexpr PluginTable kTable = {
    .size = sizeof(PluginTable),
    .is_machine = 0,
    .name = kKind == Kind::kOtherName ? "another" : WS_NAME,
    .summary = "a plugin for tests",
    .parameters = kParameters,
    .parameter_count =
        kKind == Kind::kParametersWithoutEnd ? 1'000'000'000U : 1U,
    .context = nullptr,
    .probe = kKind == Kind::kNoFunctions ? nullptr : Probe,
    .open = Open};

[[maybe_unused]] const PluginTable* Table() {
  switch (kKind) {
    case Kind::kEntryThrows:
      throw std::runtime_error("thrown by the entry point");
    case Kind::kNoTable:
      return nullptr;
    case Kind::kRubbishTable:
      return reinterpret_cast<const PluginTable*>(0x1234);
    default:
      return &kTable;
  }
}

}  // namespace

#ifndef WS_WITHOUT_NOTE
WORLDSWITCH_PLUGIN_NOTE(Note())
#endif
#ifdef WS_SECOND_NOTE
[[gnu::used, gnu::section(".note.worldswitch"),
  gnu::aligned(4)]] static constexpr PluginElfNote kSecondNote = Note();
#endif
#ifdef WS_WITHOUT_SYMBOL
WORLDSWITCH_PLUGIN_ENTRY(worldswitch_by_another_name, Table())
#else
WORLDSWITCH_PLUGIN_ENTRY(worldswitch_backend_plugin, Table())
#endif
