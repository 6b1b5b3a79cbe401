#include "lab/native_knobs.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/svm_amd/native/svm_native_knobs.h"
#include "backends/vmx_intel/native/vmx_native_knobs.h"

namespace worldswitch {
namespace {

std::int64_t Signed(std::uint64_t value) {
  constexpr auto kMost =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(value, kMost));
}

Knob HostKnob(const NativeKnob& native) {
  Knob knob;
  knob.name = native.name;
  knob.scope = KnobScope::kVm;
  knob.type = KnobType::kInteger;
  knob.minimum = Signed(native.minimum);
  knob.maximum = Signed(native.maximum);
  knob.default_value = absl::StrCat(native.default_value);
  for (const char* choice : native.choices) {
    if (choice == nullptr) break;
    // Words, no kBool: the image takes no other spelling of them.
    knob.type = KnobType::kChoice;
    knob.choices.emplace_back(choice);
  }
  if (native.default_value < knob.choices.size()) {
    knob.default_value =
        knob.choices[static_cast<std::size_t>(native.default_value)];
  }
  knob.current_value = knob.default_value;
  knob.unit = native.unit;
  knob.meaning = native.meaning;
  knob.applied_by = native.applied_by;
  return knob;
}

}  // namespace

KnobSet KnobSetOf(const NativeKnobTable& table) {
  std::vector<Knob> knobs;
  for (std::size_t i = 0; i < table.size; ++i) {
    knobs.push_back(HostKnob(table.knobs[i]));
  }
  return KnobSet(std::move(knobs));
}

KnobSet NativeKnobs(LabEngine engine) {
  return KnobSetOf(engine == LabEngine::kSvmNative ? SvmNativeKnobs()
                                                   : VmxNativeKnobs());
}

}  // namespace worldswitch
