// The catalogue: all lists as one, and what a CPU or a mode makes of it.

#include <cstddef>
#include <cstdint>

#include "bench/scenario.h"

namespace worldswitch {
namespace {

bool CpuIsAmd() {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr std::uint32_t kAuth = 0x68747541;  // "Auth" of AuthenticAMD
  constexpr std::uint32_t kHygo = 0x6f677948;  // "Hygo" of HygonGenuine
  return ebx == kAuth || ebx == kHygo;
}

}  // namespace

AllScenarios::Iterator::Iterator(std::size_t list, std::size_t index)
    : list_(list), index_(index) {
  SkipEnds();
}

const Scenario& AllScenarios::Iterator::operator*() const {
  return ScenarioLists()[list_]()[index_];
}

AllScenarios::Iterator& AllScenarios::Iterator::operator++() {
  ++index_;
  SkipEnds();
  return *this;
}

void AllScenarios::Iterator::SkipEnds() {
  const std::span<const ListFunction> lists = ScenarioLists();
  while (list_ < lists.size() && index_ >= lists[list_]().size()) {
    ++list_;
    index_ = 0;
  }
}

AllScenarios::Iterator AllScenarios::begin() const { return {0, 0}; }
AllScenarios::Iterator AllScenarios::end() const {
  return {ScenarioLists().size(), 0};
}

const char* ScenarioPlaceName(ScenarioPlace place) {
  switch (place) {
    case ScenarioPlace::kAnywhere:
      return "anywhere";
    case ScenarioPlace::kKvm:
      return "kvm only";
    case ScenarioPlace::kNative:
      return "native only";
  }
  return "(no such place)";
}

const char* WhyNotInMode(const Scenario& scenario, GuestMode mode) {
  if ((scenario.modes & ModeBit(mode)) != 0) return nullptr;
  if (scenario.why_not != nullptr) return scenario.why_not;
  switch (mode) {
    case GuestMode::kReal:
      return "the instruction, or its address, exists in 64-bit mode only";
    case GuestMode::kRing3:
      return "a privileged instruction: #GP at CPL 3";
    case GuestMode::kRing0:
      break;
  }
  return "not made for this mode";
}

Payload PayloadOf(const Scenario& scenario) {
  switch (scenario.payload) {
    case Payload::k_vmcall:
      return CpuIsAmd() ? Payload::k_vmmcall : Payload::k_vmcall;
    case Payload::k_vmcall_map:
      return CpuIsAmd() ? Payload::k_vmmcall_map : Payload::k_vmcall_map;
    default:
      return scenario.payload;
  }
}

}  // namespace worldswitch
