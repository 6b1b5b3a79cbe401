// The plugin `recorder`: wraps any other backend and records every exit and
// injection to a file, which the backend `scripted` replays.
//
//   worldswitch bench --backend recorder:backend=kvm,file=run.wsr
//
// Built outside of Worldswitch's tree, from its installed headers alone.

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/plugin.h"
#include "recorder_vm.h"
#include "recording_file.h"

namespace recorder {
namespace {

using ws::PluginBackend;
using ws::PluginBackendOps;
using ws::PluginCode;
using ws::PluginHost;
using ws::PluginKnobSink;
using ws::PluginPair;
using ws::PluginPairSink;
using ws::PluginTable;
using ws::PluginText;
using ws::PluginVmConfig;

// About 10 bytes each: some 10 MB of file.
constexpr std::uint64_t kDefaultLimit = 1'000'000;
constexpr std::uint64_t kMostLimit = 1'000'000'000;

void Say(PluginText* text, const std::string& what) {
  text->append(text->context, what.data(), what.size());
}

// Nothing that is thrown may cross; all that can be is that memory runs out.
template <typename Call>
PluginCode WithoutThrowing(PluginText* why, const Call& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    Say(why, "the recorder is out of memory");
    return PluginCode::kResourceExhausted;
  }
}

// ---- An open one ----

struct Recorder {
  Recorder() = default;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder() {
    file.reset();
    if (inner.ops != nullptr) inner.ops->close(inner.self);
  }

  PluginBackend inner = {.ops = nullptr, .self = nullptr};
  std::unique_ptr<RecordingFile> file;
  std::string path;
};

Recorder& Of(void* self) { return *static_cast<Recorder*>(self); }

void Close(void* self) { delete static_cast<Recorder*>(self); }

void Engine(void* self, PluginText* text) {
  const PluginBackend& inner = Of(self).inner;
  inner.ops->engine(inner.self, text);
}

void Unit(void* self, PluginText* text) {
  const PluginBackend& inner = Of(self).inner;
  if (inner.ops->unit != nullptr) {
    inner.ops->unit(inner.self, text);
  } else {
    Say(text, "ticks");
  }
}

void Facts(void* self, PluginPairSink* sink) {
  const Recorder& recorder = Of(self);
  const PluginBackend& inner = recorder.inner;
  const char* state = "recording";
  if (recorder.file->error() != 0) {
    state = std::strerror(recorder.file->error());
  } else if (recorder.file->is_limited()) {
    state = "the limit is reached";
  }
  for (const PluginPair& pair : {PluginPair{"recording", recorder.path.c_str()},
                                 PluginPair{"recording_state", state}}) {
    sink->add(sink->context, &pair);
  }
  if (inner.ops->facts != nullptr) inner.ops->facts(inner.self, sink);
}

void Knobs(void* self, PluginKnobSink* sink) {
  const PluginBackend& inner = Of(self).inner;
  if (inner.ops->knobs != nullptr) inner.ops->knobs(inner.self, sink);
}

PluginCode CreateVm(void* self, const PluginVmConfig* config, ws::VmOps** vm,
                    PluginText* why) {
  Recorder& recorder = Of(self);
  const PluginBackend& inner = recorder.inner;
  ws::VmOps* made = nullptr;
  const PluginCode code = inner.ops->create_vm(inner.self, config, &made, why);
  if (code != PluginCode::kOk) return code;
  const PluginCode wrapped = WithoutThrowing(why, [&] {
    *vm = new RecorderVm(*made, *recorder.file);
    return PluginCode::kOk;
  });
  if (wrapped != PluginCode::kOk) inner.ops->destroy_vm(inner.self, made);
  return wrapped;
}

void DestroyVm(void* self, ws::VmOps* vm) {
  const PluginBackend& inner = Of(self).inner;
  auto* const recorded = static_cast<RecorderVm*>(vm);
  ws::VmOps& made = recorded->inner();
  delete recorded;
  inner.ops->destroy_vm(inner.self, &made);
}

void Explain(void* self, ws::VmOps* vm, const ws::Exit* exit,
             PluginText* text) {
  const PluginBackend& inner = Of(self).inner;
  if (inner.ops->explain == nullptr) return;
  inner.ops->explain(inner.self, &static_cast<RecorderVm*>(vm)->inner(), exit,
                     text);
}

constexpr PluginBackendOps kOps = {.size = sizeof(PluginBackendOps),
                                   .close = Close,
                                   .name = nullptr,
                                   .engine = Engine,
                                   .unit = Unit,
                                   .facts = Facts,
                                   .knobs = Knobs,
                                   .create_vm = CreateVm,
                                   .destroy_vm = DestroyVm,
                                   .explain = Explain};

// ---- Opening one ----

struct Parameters {
  std::string backend = "auto";
  std::string file;
  std::uint64_t limit = kDefaultLimit;
};

bool ParseLimit(const char* text, std::uint64_t* limit) {
  char* end = nullptr;
  errno = 0;
  *limit = std::strtoull(text, &end, 10);
  return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' &&
         *limit >= 1 && *limit <= kMostLimit;
}

PluginCode Parse(const PluginPair* pairs, std::uint32_t count,
                 Parameters* parameters, PluginText* why) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name = pairs[i].name;
    if (name == "backend") {
      // ',' ends a parameter of ours, so ';' stands for it in the other's.
      parameters->backend = pairs[i].value;
      for (char& c : parameters->backend) c = c == ';' ? ',' : c;
    } else if (name == "file") {
      parameters->file = pairs[i].value;
    } else if (name == "limit" &&
               !ParseLimit(pairs[i].value, &parameters->limit)) {
      Say(why, std::string("limit=") + pairs[i].value +
                   ": not a number of events from 1 to 1000000000");
      return PluginCode::kInvalidArgument;
    }
  }
  if (!parameters->file.empty()) return PluginCode::kOk;
  Say(why,
      "there is no file to record to; name one: "
      "recorder:backend=kvm,file=FILE");
  return PluginCode::kInvalidArgument;
}

// A text of the inner backend.
std::string Ask(const PluginBackend& inner, void (*what)(void*, PluginText*)) {
  std::string text;
  if (what == nullptr) return text;
  PluginText sink = {
      .context = &text,
      .append = [](void* context, const char* piece, std::size_t length) {
        static_cast<std::string*>(context)->append(piece, length);
      }};
  what(inner.self, &sink);
  return text;
}

PluginCode Open(void* /*context*/, const PluginHost* host,
                const PluginPair* pairs, std::uint32_t count,
                PluginBackend* backend, PluginText* why) {
  return WithoutThrowing(why, [&] {
    Parameters parameters;
    PluginCode code = Parse(pairs, count, &parameters, why);
    if (code != PluginCode::kOk) return code;
    auto recorder = std::make_unique<Recorder>();
    recorder->path = parameters.file;
    code = host->open_backend(host->context, parameters.backend.c_str(),
                              &recorder->inner, why);
    if (code != PluginCode::kOk) return code;
    const PluginBackend& inner = recorder->inner;
    int error = 0;
    recorder->file.reset(RecordingFile::Create(
        parameters.file, parameters.limit, Ask(inner, inner.ops->name),
        Ask(inner, inner.ops->engine), &error));
    if (recorder->file == nullptr) {
      Say(why, "making the recording " + parameters.file + " failed: " +
                   strerrorname_np(error) + " (" + std::strerror(error) +
                   "); name a file that can be written: file=FILE");
      return error == EACCES || error == EROFS ? PluginCode::kPermissionDenied
                                               : PluginCode::kUnavailable;
    }
    *backend = {.ops = &kOps, .self = recorder.release()};
    return PluginCode::kOk;
  });
}

// It needs nothing; what the other backend needs is told when it is opened.
PluginCode Probe(void* /*context*/, PluginText* /*why*/) {
  return PluginCode::kOk;
}

constexpr PluginPair kParameters[] = {
    {"backend",
     "the one to record, as --backend has it, with ';' for ','; default auto"},
    {"file", "where to record to; a file that is there is replaced"},
    {"limit", "events after which recording ends; default 1000000"},
};

constexpr PluginTable kTable = {
    .size = sizeof(PluginTable),
    .is_machine = 0,
    .name = "recorder",
    .summary = "records every exit and injection of another backend to a file",
    .parameters = kParameters,
    .parameter_count = sizeof(kParameters) / sizeof(kParameters[0]),
    .context = nullptr,
    .probe = Probe,
    .open = Open};

}  // namespace
}  // namespace recorder

WORLDSWITCH_BACKEND_PLUGIN("recorder", &recorder::kTable)
