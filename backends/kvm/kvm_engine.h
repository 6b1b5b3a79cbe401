// Which engine stands behind /dev/kvm, and how its modules are set.
//
// Told from the modules that are there, never from the processor's vendor: a
// processor of AMD may well be driven by an engine that uses no SVM at all.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_ENGINE_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_ENGINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/host/backend.h"

namespace worldswitch {

enum class KvmEngine : std::uint8_t { kUnknown, kIntel, kAmd, kPvm };

// "kvm_intel", "kvm_amd", "kvm_pvm", "unknown".
const char* KvmEngineName(KvmEngine engine);

// sysfs: "/sys", or a made-up tree. An engine that is a loadable module counts
// once it is live. Built in, it shows only because it has parameters, and
// whether or not it found its hardware: where two engines show, the answer is
// kUnknown.
KvmEngine IdentifyKvmEngine(const std::string& sysfs);

// The parameters of `module` by name, with their values, sorted; empty if it
// has none. One that cannot be read has the value "(not readable)".
std::vector<Fact> ModuleParameters(const std::string& sysfs,
                                   absl::string_view module);

// True if the processor says that it is itself virtual (CPUID.1:ECX bit 31).
bool RunsUnderHypervisor();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_ENGINE_H_
