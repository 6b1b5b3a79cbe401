#include "core/host/plugin_adapter.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace worldswitch {
namespace {

void Tell(PluginText* text, absl::string_view what) {
  if (text != nullptr) text->append(text->context, what.data(), what.size());
}

// For functions that cannot say that something is wrong.
template <typename Call>
void Quietly(const Call& call) {
  try {
    call();
  } catch (...) {
    // Memory ran out: the list or the text is shorter for it.
  }
}

// ---- A backend ----

Backend& Of(void* self) { return *static_cast<Backend*>(self); }

// Every VM that crosses is a Vm: create_vm makes no other.
Vm& OfVm(VmOps* vm) { return *static_cast<Vm*>(vm); }

void Close(void* self) { delete static_cast<Backend*>(self); }

void Name(void* self, PluginText* text) {
  Quietly([&] { Tell(text, Of(self).name()); });
}

void Engine(void* self, PluginText* text) {
  Quietly([&] { Tell(text, Of(self).engine()); });
}

void Unit(void* self, PluginText* text) {
  Quietly([&] { Tell(text, Of(self).unit()); });
}

void Facts(void* self, PluginPairSink* sink) {
  Quietly([&] {
    for (const Fact& fact : Of(self).facts()) {
      const PluginPair pair = {.name = fact.name.c_str(),
                               .value = fact.value.c_str()};
      sink->add(sink->context, &pair);
    }
  });
}

void Knobs(void* self, PluginKnobSink* sink) {
  Quietly([&] {
    for (const Knob& knob : Of(self).knobs().all()) {
      std::vector<const char*> choices;
      choices.reserve(knob.choices.size());
      for (const std::string& choice : knob.choices) {
        choices.push_back(choice.c_str());
      }
      const PluginKnob plain = {
          .name = knob.name.c_str(),
          .scope = static_cast<std::uint32_t>(knob.scope),
          .type = static_cast<std::uint32_t>(knob.type),
          .minimum = knob.minimum,
          .maximum = knob.maximum,
          .choices = choices.data(),
          .choice_count = static_cast<std::uint32_t>(choices.size()),
          .unit = knob.unit.c_str(),
          .meaning = knob.meaning.c_str(),
          .default_value = knob.default_value.c_str(),
          .current_value = knob.current_value.c_str(),
          .applied_by = knob.applied_by.c_str(),
          .file = knob.file.c_str(),
          .not_settable = knob.not_settable.c_str()};
      sink->add(sink->context, &plain);
    }
  });
}

PluginCode CreateVm(void* self, const PluginVmConfig* config, VmOps** vm,
                    PluginText* why) {
  return PassOn(why, [&]() -> absl::Status {
    if (config->size != sizeof(PluginVmConfig) ||
        config->backing > static_cast<std::uint32_t>(MemoryBacking::kMemfd)) {
      return absl::InvalidArgumentError(
          "a PluginVmConfig of another size, or with a backing that there is "
          "not");
    }
    VmConfig full;
    full.needs = config->needs;
    full.backing = static_cast<MemoryBacking>(config->backing);
    for (std::uint32_t i = 0; i < config->knob_count; ++i) {
      full.knobs[config->knobs[i].name] = config->knobs[i].value;
    }
    absl::StatusOr<std::unique_ptr<Vm>> made = Of(self).CreateVm(full);
    if (!made.ok()) return made.status();
    *vm = made->release();
    return absl::OkStatus();
  });
}

void DestroyVm(void* /*self*/, VmOps* vm) { delete static_cast<Vm*>(vm); }

void Explain(void* /*self*/, VmOps* vm, const Exit* exit, PluginText* text) {
  Quietly([&] { Tell(text, OfVm(vm).Explain(*exit)); });
}

constexpr PluginBackendOps kOps = {.size = sizeof(PluginBackendOps),
                                   .close = Close,
                                   .name = Name,
                                   .engine = Engine,
                                   .unit = Unit,
                                   .facts = Facts,
                                   .knobs = Knobs,
                                   .create_vm = CreateVm,
                                   .destroy_vm = DestroyVm,
                                   .explain = Explain};

// ---- A factory ----

class Factory {
 public:
  Factory(const char* name, BackendFactory factory)
      : name_(name), factory_(std::move(factory)) {
    for (const Fact& parameter : factory_.parameters) {
      parameters_.push_back(
          {.name = parameter.name.c_str(), .value = parameter.value.c_str()});
    }
    table_ = {.size = sizeof(PluginTable),
              .is_machine = factory_.is_machine ? 1U : 0U,
              .name = name,
              .summary = factory_.summary.c_str(),
              .parameters = parameters_.data(),
              .parameter_count = static_cast<std::uint32_t>(parameters_.size()),
              .context = this,
              .probe = Probe,
              .open = Open};
  }
  Factory(const Factory&) = delete;
  Factory& operator=(const Factory&) = delete;

  const PluginTable* table() const { return &table_; }

 private:
  static PluginCode Probe(void* context, PluginText* why) {
    const BackendFactory& factory = static_cast<Factory*>(context)->factory_;
    return PassOn(why, [&] {
      return factory.probe ? factory.probe() : absl::OkStatus();
    });
  }

  static PluginCode Open(void* context, const PluginHost* /*host*/,
                         const PluginPair* parameters,
                         std::uint32_t parameter_count, PluginBackend* backend,
                         PluginText* why) {
    const auto& self = *static_cast<Factory*>(context);
    return PassOn(why, [&]() -> absl::Status {
      BackendSpec spec = {.name = self.name_, .parameters = {}};
      for (std::uint32_t i = 0; i < parameter_count; ++i) {
        spec.parameters.emplace_back(parameters[i].name, parameters[i].value);
      }
      absl::StatusOr<std::unique_ptr<Backend>> made =
          self.factory_.create(spec);
      if (!made.ok()) return made.status();
      *backend = LendBackend(*std::move(made));
      return absl::OkStatus();
    });
  }

  const std::string name_;
  const BackendFactory factory_;
  std::vector<PluginPair> parameters_;
  PluginTable table_ = {};
};

}  // namespace

PluginBackend LendBackend(std::unique_ptr<Backend> backend) {
  return {.ops = &kOps, .self = backend.release()};
}

const PluginTable* FactoryTable(const char* name, BackendFactory (*make)()) {
  // A plugin's are asked for when it is loaded, by one thread.
  static auto* const factory = new Factory(name, make());
  return factory->table();
}

PluginCode PassOn(PluginText* why, const std::function<absl::Status()>& call) {
  try {
    const absl::Status status = call();
    if (!status.ok()) Tell(why, status.message());
    return static_cast<PluginCode>(status.raw_code());
  } catch (const std::exception& thrown) {
    Tell(why, thrown.what());
  } catch (...) {
    Tell(why, "an exception");
  }
  return PluginCode::kInternal;
}

}  // namespace worldswitch
