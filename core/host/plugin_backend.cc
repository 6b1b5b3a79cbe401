#include "core/host/plugin_backend.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/host/knob.h"
#include "core/host/plugin_adapter.h"
#include "core/host/plugin_library.h"

namespace worldswitch {
namespace {

std::string Text(const char* text) { return text == nullptr ? "" : text; }

// Of names and values that outlive what it gives: not of a temporary.
template <typename Map>
std::vector<PluginPair> Pairs(const Map& from) {
  std::vector<PluginPair> pairs;
  pairs.reserve(from.size());
  for (const auto& [name, value] : from) {
    pairs.push_back({.name = name.c_str(), .value = value.c_str()});
  }
  return pairs;
}
template <typename Map>
std::vector<PluginPair> Pairs(const Map&& from) = delete;

// Calls a function of a plugin that answers with a code and a text.
absl::Status Ask(const std::string& what,
                 const std::function<PluginCode(PluginText*)>& call) {
  std::string why;
  PluginText sink = TextSink(&why);
  auto code = PluginCode::kOk;
  absl::Status called = Guarded(what, [&] { code = call(&sink); });
  return called.ok() ? PluginStatus(code, why) : called;
}

// ---- What a plugin may ask of us ----

PluginCode OpenForPlugin(void* context, const char* spec,
                         PluginBackend* backend, PluginText* why) {
  const auto& registry = *static_cast<const BackendRegistry*>(context);
  return PassOn(why, [&]() -> absl::Status {
    absl::StatusOr<BackendRegistry::Opened> opened = registry.Open(Text(spec));
    if (!opened.ok()) return opened.status();
    *backend = LendBackend(std::move(opened->backend));
    return absl::OkStatus();
  });
}

// An open backend of a plugin, shared by whoever needs it open.
struct Open {
  explicit Open(const BackendRegistry& registry)
      : host{.size = sizeof(PluginHost),
             .abi_version = kPluginAbiVersion,
             .context = const_cast<BackendRegistry*>(&registry),
             .open_backend = OpenForPlugin} {}
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  ~Open() {
    if (backend.ops == nullptr) return;
    // There is nobody left to tell.
    Guarded("closing it", [this] {
      backend.ops->close(backend.self);
    }).IgnoreError();
  }

  const PluginHost host;
  PluginBackend backend = {.ops = nullptr, .self = nullptr};
};

// ---- VMs ----

class PluginVm final : public Vm {
 public:
  PluginVm(std::shared_ptr<Open> open, VmOps* vm)
      : open_(std::move(open)), vm_(vm) {}
  ~PluginVm() override {
    Guarded("destroying a VM", [this] {
      open_->backend.ops->destroy_vm(open_->backend.self, vm_);
    }).IgnoreError();
  }

  MemoryView memory() override { return vm_->memory(); }
  std::uint32_t vcpu_count() const override { return vm_->vcpu_count(); }
  VcpuOps& vcpu(std::uint32_t index) override { return vm_->vcpu(index); }
  bool has(Capability capability) const override {
    return vm_->has(capability);
  }
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override {
    return vm_->counter(counter, vcpu_index);
  }
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override {
    return vm_->discard_memory(gpa, length);
  }
  void* feature(FeatureId id) override { return vm_->feature(id); }
  std::string Explain(const Exit& exit) const override {
    const PluginBackendOps& ops = *open_->backend.ops;
    std::string text;
    if (ops.explain == nullptr) return text;
    PluginText sink = TextSink(&text);
    absl::Status called = Guarded("explaining an exit", [&] {
      ops.explain(open_->backend.self, vm_, &exit, &sink);
    });
    return called.ok() ? text : std::string(called.message());
  }

 private:
  const std::shared_ptr<Open> open_;
  VmOps* const vm_;
};

// ---- Knobs ----

constexpr std::size_t kMostKnobs = 1024;
constexpr std::uint32_t kMostChoices = 256;

struct KnobCollector {
  std::vector<Knob> knobs;
  std::string wrong;  // the first thing that makes no sense

  static void Add(void* context, const PluginKnob* from) noexcept {
    auto& all = *static_cast<KnobCollector*>(context);
    if (all.knobs.size() >= kMostKnobs) {
      all.wrong = "more than 1024 of them";
      return;
    }
    if (from == nullptr || Text(from->name).empty()) {
      all.wrong = "one without a name";
      return;
    }
    if (from->scope > static_cast<std::uint32_t>(KnobScope::kVcpu) ||
        from->type > static_cast<std::uint32_t>(KnobType::kFlags) ||
        from->choice_count > kMostChoices) {
      all.wrong = absl::StrCat("the scope, type or choices of ", from->name);
      return;
    }
    Knob knob;
    knob.name = from->name;
    knob.scope = static_cast<KnobScope>(from->scope);
    knob.type = static_cast<KnobType>(from->type);
    knob.minimum = from->minimum;
    knob.maximum = from->maximum;
    for (std::uint32_t i = 0; i < from->choice_count; ++i) {
      knob.choices.push_back(Text(from->choices[i]));
    }
    knob.unit = Text(from->unit);
    knob.meaning = Text(from->meaning);
    knob.default_value = Text(from->default_value);
    knob.current_value = Text(from->current_value);
    knob.applied_by = Text(from->applied_by);
    knob.file = Text(from->file);
    knob.not_settable = Text(from->not_settable);
    all.knobs.push_back(std::move(knob));
  }
};

// ---- The backend ----

class PluginBackendOfTable final : public Backend {
 public:
  PluginBackendOfTable(std::string name, std::shared_ptr<Open> open,
                       KnobSet knobs)
      : name_(std::move(name)),
        open_(std::move(open)),
        knobs_(std::move(knobs)) {}

  const std::string& name() const override { return name_; }
  std::string engine() const override {
    return TextOf("engine", ops().engine).value_or("unknown");
  }
  std::string unit() const override {
    if (ops().unit == nullptr) return Backend::unit();
    return TextOf("unit", ops().unit).value_or("ticks");
  }
  std::vector<Fact> facts() const override {
    std::vector<Fact> facts;
    if (ops().facts == nullptr) return facts;
    PluginPairSink sink = {.context = &facts, .add = AddFact};
    absl::Status called = Guarded(
        "asking for facts", [&] { ops().facts(open_->backend.self, &sink); });
    if (!called.ok()) {
      facts.push_back({"trouble", std::string(called.message())});
    }
    return facts;
  }
  const KnobSet& knobs() const override { return knobs_; }
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(const VmConfig& config) override;

 private:
  const PluginBackendOps& ops() const { return *open_->backend.ops; }
  absl::StatusOr<std::string> TextOf(const char* what,
                                     void (*ask)(void*, PluginText*)) const {
    std::string text;
    PluginText sink = TextSink(&text);
    absl::Status called =
        Guarded(what, [&] { ask(open_->backend.self, &sink); });
    if (!called.ok()) return called;
    return text;
  }
  static void AddFact(void* context, const PluginPair* pair) noexcept {
    if (pair == nullptr) return;
    static_cast<std::vector<Fact>*>(context)->push_back(
        {Text(pair->name), Text(pair->value)});
  }

  const std::string name_;
  const std::shared_ptr<Open> open_;
  const KnobSet knobs_;
};

absl::StatusOr<std::unique_ptr<Vm>> PluginBackendOfTable::CreateVm(
    const VmConfig& config) {
  if (absl::Status checked = knobs_.Check(config.knobs); !checked.ok()) {
    return checked;
  }
  const std::vector<PluginPair> knobs = Pairs(config.knobs);
  const PluginVmConfig plain = {
      .size = sizeof(PluginVmConfig),
      .backing = static_cast<std::uint32_t>(config.backing),
      .needs = config.needs,
      .knobs = knobs.data(),
      .knob_count = static_cast<std::uint32_t>(knobs.size())};
  VmOps* vm = nullptr;
  absl::Status made = Ask("making a VM", [&](PluginText* why) {
    return ops().create_vm(open_->backend.self, &plain, &vm, why);
  });
  if (!made.ok()) return made;
  if (vm == nullptr) {
    return absl::InternalError("it says that it made a VM, and gives none");
  }
  auto wrapped = std::make_unique<PluginVm>(open_, vm);
  if (wrapped->vcpu_count() != config.needs.vcpus ||
      wrapped->memory().size < config.needs.memory_bytes) {
    return absl::InternalError(absl::StrCat(
        "it made a VM of ", wrapped->vcpu_count(), " vCPUs and ",
        wrapped->memory().size, " bytes where ", config.needs.vcpus, " and ",
        config.needs.memory_bytes, " were asked for"));
  }
  return wrapped;
}

absl::Status CheckOps(const PluginBackend& backend) {
  if (backend.ops == nullptr) {
    return absl::InternalError("it says that it opened, and gives no backend");
  }
  const PluginBackendOps& ops = *backend.ops;
  if (ops.size != sizeof(PluginBackendOps) || ops.close == nullptr ||
      ops.engine == nullptr || ops.create_vm == nullptr ||
      ops.destroy_vm == nullptr) {
    return absl::InternalError(
        "the functions of the backend that it opened make no sense: the wrong "
        "size, or one is missing");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> OpenPluginBackend(
    const PluginTable& table, const BackendSpec& spec,
    const BackendRegistry& registry) {
  const std::vector<PluginPair> parameters = Pairs(spec.parameters);
  auto open = std::make_shared<Open>(registry);
  PluginBackend backend = {.ops = nullptr, .self = nullptr};
  absl::Status opened = Ask("opening it", [&](PluginText* why) {
    return table.open(table.context, &open->host, parameters.data(),
                      static_cast<std::uint32_t>(parameters.size()), &backend,
                      why);
  });
  if (!opened.ok()) return opened;
  if (absl::Status checked = CheckOps(backend); !checked.ok()) return checked;
  open->backend = backend;
  KnobCollector collector;
  if (backend.ops->knobs != nullptr) {
    PluginKnobSink sink = {.context = &collector, .add = KnobCollector::Add};
    absl::Status asked = Guarded("asking for its knobs", [&] {
      backend.ops->knobs(backend.self, &sink);
    });
    if (!asked.ok()) return asked;
  }
  if (!collector.wrong.empty()) {
    return absl::InternalError(
        absl::StrCat("its knobs make no sense: ", collector.wrong));
  }
  return std::make_unique<PluginBackendOfTable>(
      table.name, std::move(open), KnobSet(std::move(collector.knobs)));
}

}  // namespace worldswitch
