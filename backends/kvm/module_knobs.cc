#include "backends/kvm/module_knobs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_engine.h"
#include "backends/kvm/module_parameter_table.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

struct Choices {
  const char* knob;
  std::vector<std::string> values;
};

// Parameters that take words.
const std::vector<Choices>& WordParameters() {
  static const auto& words = *new std::vector<Choices>{
      {"kvm_intel.vmentry_l1d_flush", {"auto", "never", "cond", "always"}}};
  return words;
}

void SetTypeByValue(const std::string& value, Knob* knob) {
  knob->current_value = value;
  for (const Choices& words : WordParameters()) {
    if (knob->name != words.knob) continue;
    knob->type = KnobType::kChoice;
    knob->choices = words.values;
    return;
  }
  if (value == "Y" || value == "N") {
    knob->type = KnobType::kBool;
    knob->current_value = value == "Y" ? "on" : "off";
    return;
  }
  std::int64_t number = 0;
  if (absl::SimpleAtoi(value, &number)) {
    knob->type = KnobType::kInteger;
    knob->minimum = -1;  // no parameter takes a lesser number
    knob->maximum = std::numeric_limits<std::uint32_t>::max();
    return;
  }
  knob->type = KnobType::kChoice;
  knob->choices = {value};
}

// How a parameter that the running module does not let be written is set.
std::string HowToReload(const std::string& sysfs, absl::string_view module,
                        absl::string_view name) {
  const bool loadable =
      access(absl::StrCat(sysfs, "/module/", module, "/initstate").c_str(),
             F_OK) == 0;
  if (!loadable) {
    return absl::StrCat("built into the kernel: boot with ", module, ".", name,
                        "=VALUE");
  }
  const KvmEngine engine = IdentifyKvmEngine(sysfs);
  if (module == "kvm" && engine != KvmEngine::kUnknown) {
    const char* const above = KvmEngineName(engine);
    return absl::StrCat(
        "fixed when the module is loaded: end every VM, then "
        "modprobe -r ",
        above, " kvm && modprobe kvm ", name, "=VALUE && modprobe ", above);
  }
  return absl::StrCat(
      "fixed when the module is loaded: end every VM, then modprobe -r ",
      module, " && modprobe ", module, " ", name, "=VALUE");
}

std::string WhyNotSettable(const std::string& sysfs, absl::string_view module,
                           absl::string_view name, const std::string& file) {
  struct stat status = {};
  if (stat(file.c_str(), &status) != 0) return ErrnoName(errno);
  if ((status.st_mode & S_IWUSR) == 0) return HowToReload(sysfs, module, name);
  if (access(file.c_str(), W_OK) == 0) return "";
  return absl::StrCat("writing ", file, ": ", ErrnoName(errno),
                      errno == EACCES ? "; run as root" : "");
}

}  // namespace

std::vector<Knob> ModuleKnobs(const std::string& sysfs,
                              absl::string_view module) {
  std::vector<Knob> knobs;
  for (const Fact& parameter : ModuleParameters(sysfs, module)) {
    Knob knob;
    knob.name = absl::StrCat(module, ".", parameter.name);
    knob.scope = KnobScope::kHost;
    knob.applied_by = "module parameter";
    knob.file =
        absl::StrCat(sysfs, "/module/", module, "/parameters/", parameter.name);
    SetTypeByValue(parameter.value, &knob);
    knob.default_value = knob.current_value;
    knob.meaning = "(not known to this version)";
    for (const ModuleParameterMeaning& known : ModuleParameterMeanings()) {
      if (module == known.module && parameter.name == known.name) {
        knob.meaning = known.meaning;
        knob.unit = known.unit;
      }
    }
    knob.not_settable =
        WhyNotSettable(sysfs, module, parameter.name, knob.file);
    knobs.push_back(std::move(knob));
  }
  return knobs;
}

}  // namespace worldswitch
