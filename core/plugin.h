// Backends as shared objects: all that crosses the boundary between a program
// and a plugin. docs/plugins.md tells how one is built, found and trusted.
//
//   static const worldswitch::PluginTable kTable = {...};
//   WORLDSWITCH_BACKEND_PLUGIN("mine", &kTable)
//
// What is asked now and then goes through tables of function pointers and plain
// structs; VmOps and VcpuOps cross as they are, so that an op of a plugin is
// the same one indirect call as an op of a built-in backend. No type of a
// library crosses, and nobody frees what the other side allocated.
//
// Strings are UTF-8, end with NUL, and belong to who passes them: they are good
// until the call returns, those of a PluginTable for ever. Lists and texts that
// a callee makes go into a sink of the caller's. No function here may throw;
// a program takes one that does for broken and says so. Unless said otherwise
// every function may be called from any thread, one at a time.
//
// Freestanding.

#ifndef WORLDSWITCH_CORE_PLUGIN_H_
#define WORLDSWITCH_CORE_PLUGIN_H_

#include <cstddef>
#include <cstdint>

#include "core/exit.h"
#include "core/registers.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"

namespace worldswitch {

// Counts up with every change to what crosses: the structs here, the order of
// the virtual functions of VmOps, VcpuOps, KickTarget and core/features/, the
// layout of Exit, Event and RegisterFile, a value of their enums.
inline constexpr std::uint32_t kPluginAbiVersion = 2;

// Numbered as the canonical codes of gRPC and Abseil are.
enum class PluginCode : std::int32_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,  // of the user's words
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,  // not on this host, as it is
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Where a callee puts a text: any number of pieces, one after the other. An
// error's text says what was attempted, on what, the errno by name, and what
// the user can do.
struct PluginText {
  void* context;
  void (*append)(void* context, const char* text, std::size_t length);
};

// A fact (name and value), a parameter (key and one line of meaning), or a
// setting (key and value).
struct PluginPair {
  const char* name;
  const char* value;
};

struct PluginPairSink {
  void* context;
  void (*add)(void* context, const PluginPair* pair);
};

// As struct Knob of core/host/knob.h, field by field; null is "".
struct PluginKnob {
  const char* name;
  std::uint32_t scope;         // 0 host, 1 VM, 2 vCPU
  std::uint32_t type;          // 0 bool, 1 integer, 2 choice, 3 flags
  std::int64_t minimum;        // integer
  std::int64_t maximum;        // integer
  const char* const* choices;  // choice, flags
  std::uint32_t choice_count;
  const char* unit;
  const char* meaning;
  const char* default_value;
  const char* current_value;
  const char* applied_by;
  const char* file;
  const char* not_settable;
};

struct PluginKnobSink {
  void* context;
  void (*add)(void* context, const PluginKnob* knob);
};

struct PluginVmConfig {
  std::uint32_t size;     // sizeof(PluginVmConfig) of who made it
  std::uint32_t backing;  // 0 anonymous, 1 huge, 2 hugetlb, 3 memfd
  VmNeeds needs;
  const PluginPair* knobs;  // of VM and vCPU scope, checked for name and range
  std::uint32_t knob_count;
};

// An open backend. A function that may be null is marked so.
struct PluginBackendOps {
  std::uint32_t size;  // sizeof(PluginBackendOps) of who made it
  // All its VMs are destroyed by then. Not called twice.
  void (*close)(void* self);
  // What it is called, for whoever asked for "auto". Null: as its table has it.
  void (*name)(void* self, PluginText* text);
  // What stands behind it: "kvm_intel", "none".
  void (*engine)(void* self, PluginText* text);
  // "ticks" or "instructions". Null: as this host's TSC has it.
  void (*unit)(void* self, PluginText* text);
  void (*facts)(void* self, PluginPairSink* sink);  // null: none
  // Asked once, when the backend is opened. Null: none.
  void (*knobs)(void* self, PluginKnobSink* sink);
  // kOk: *vm is a VM with config->needs. It and its vCPUs keep the clauses of
  // core/vcpu_ops.h.
  PluginCode (*create_vm)(void* self, const PluginVmConfig* config, VmOps** vm,
                          PluginText* why);
  // None of its vCPUs is running. Kick handles may outlive it (KICK.4).
  void (*destroy_vm)(void* self, VmOps* vm);
  // What is known of an exit beyond the Exit. Null: nothing.
  void (*explain)(void* self, VmOps* vm, const Exit* exit, PluginText* text);
};

struct PluginBackend {
  const PluginBackendOps* ops;
  void* self;
};

// What a program offers to its plugins.
struct PluginHost {
  std::uint32_t size;  // sizeof(PluginHost) of who made it
  std::uint32_t abi_version;
  void* context;
  // Opens another backend of the program by what --backend takes: "auto",
  // "kvm:device=/dev/kvm", "/path/to/plugin.so". The caller closes it.
  PluginCode (*open_backend)(void* context, const char* spec,
                             PluginBackend* backend, PluginText* why);
};

// What the entry point gives: static, the same at each call.
struct PluginTable {
  std::uint32_t size;        // sizeof(PluginTable) of who made it
  std::uint32_t is_machine;  // 1: `auto` may choose it; 0: never unasked
  const char* name;          // that of the note
  const char* summary;       // one line
  // Keys that `open` understands; others never reach it.
  const PluginPair* parameters;
  std::uint32_t parameter_count;
  void* context;  // for probe and open
  // kOk: usable here. Otherwise why not, with the remedy. Is run in a child
  // process first, within a time limit.
  PluginCode (*probe)(void* context, PluginText* why);
  // host: good for as long as the backend is open.
  PluginCode (*open)(void* context, const PluginHost* host,
                     const PluginPair* parameters,
                     std::uint32_t parameter_count, PluginBackend* backend,
                     PluginText* why);
};

using PluginEntry = const PluginTable* (*)();
inline constexpr char kPluginEntryName[] = "worldswitch_backend_plugin";

// ---- The note ----
//
// An ELF note with this owner and type, in a PT_NOTE segment. It is read from
// the file before anything of the plugin runs.

inline constexpr char kPluginNoteOwner[12] = "Worldswitch";
inline constexpr std::uint32_t kPluginNoteType = 1;
inline constexpr std::size_t kPluginNameSize = 32;

struct PluginNote {
  std::uint32_t abi_version;
  std::uint32_t note_size;  // sizeof(PluginNote)
  // Sizes in bytes, as the plugin was compiled with.
  std::uint32_t table_size;
  std::uint32_t backend_ops_size;
  std::uint32_t host_size;
  std::uint32_t vm_config_size;
  std::uint32_t knob_size;
  std::uint32_t exit_size;
  std::uint32_t event_size;
  std::uint32_t register_file_size;
  // Letters a to z, digits and '_', beginning with a letter; NUL to the end.
  char name[kPluginNameSize];
};

constexpr PluginNote MakePluginNote() {
  return {.abi_version = kPluginAbiVersion,
          .note_size = sizeof(PluginNote),
          .table_size = sizeof(PluginTable),
          .backend_ops_size = sizeof(PluginBackendOps),
          .host_size = sizeof(PluginHost),
          .vm_config_size = sizeof(PluginVmConfig),
          .knob_size = sizeof(PluginKnob),
          .exit_size = sizeof(Exit),
          .event_size = sizeof(Event),
          .register_file_size = sizeof(RegisterFile),
          .name = {}};
}

// The note as it stands in the file (System V ABI, "Note Section").
struct PluginElfNote {
  std::uint32_t owner_size;
  std::uint32_t descriptor_size;
  std::uint32_t type;
  char owner[sizeof(kPluginNoteOwner)];
  PluginNote descriptor;
};

template <std::size_t kSize>
constexpr PluginElfNote MakePluginElfNote(const char (&name)[kSize]) {
  static_assert(kSize > 1 && kSize <= kPluginNameSize,
                "a plugin's name has 1 to 31 characters");
  PluginElfNote note = {.owner_size = sizeof(kPluginNoteOwner),
                        .descriptor_size = sizeof(PluginNote),
                        .type = kPluginNoteType,
                        .owner = {},
                        .descriptor = MakePluginNote()};
  for (std::size_t i = 0; i < sizeof(kPluginNoteOwner); ++i) {
    note.owner[i] = kPluginNoteOwner[i];
  }
  for (std::size_t i = 0; i < kSize; ++i) note.descriptor.name[i] = name[i];
  return note;
}

}  // namespace worldswitch

// In one file of a plugin, outside of any namespace. table: an expression that
// gives a const PluginTable*; it is evaluated when the plugin is loaded.
#define WORLDSWITCH_BACKEND_PLUGIN(name, table)                   \
  WORLDSWITCH_PLUGIN_NOTE(::worldswitch::MakePluginElfNote(name)) \
  WORLDSWITCH_PLUGIN_ENTRY(worldswitch_backend_plugin, table)

// Its two halves, for tests that get one of them wrong.
#define WORLDSWITCH_PLUGIN_NOTE(note)                               \
  [[gnu::used, gnu::section(".note.worldswitch"),                   \
    gnu::aligned(4)]] static constexpr ::worldswitch::PluginElfNote \
      kWorldswitchPluginNote = note;
#define WORLDSWITCH_PLUGIN_ENTRY(symbol, table)                               \
  extern "C" [[gnu::visibility("default")]] const ::worldswitch::PluginTable* \
  symbol();                                                                   \
  extern "C" const ::worldswitch::PluginTable* symbol() { return table; }

#endif  // WORLDSWITCH_CORE_PLUGIN_H_
