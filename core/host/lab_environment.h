// What a program is told when it runs inside a lab (lab/): an emulated host
// whose TSC counts instructions. Whoever boots the lab sets one environment
// variable; everything here that depends on it goes by that variable alone.

#ifndef WORLDSWITCH_CORE_HOST_LAB_ENVIRONMENT_H_
#define WORLDSWITCH_CORE_HOST_LAB_ENVIRONMENT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/host/backend.h"

namespace worldswitch {

// WORLDSWITCH_LAB="date=...;emulator=...;cpu_model=...": set means that a tick
// of this host's TSC is one instruction, and that no clock here tells a time.
inline constexpr char kLabVariable[] = "WORLDSWITCH_LAB";

// Fewer repetitions than on a machine: two of them never differ by noise.
inline constexpr unsigned kLabRepetitions = 3;

struct LabEnvironment {
  // When the lab was started, RFC 3339: the guest's own clock is made up, the
  // same in every boot.
  std::string date;
  // "emulator", "cpu_model", "kernel", "mitigations", ...
  std::vector<Fact> facts;
};

// As the variable's value; ';' and control characters in values become '?'.
std::string LabEnvironmentText(const LabEnvironment& lab);
LabEnvironment ParseLabEnvironment(absl::string_view text);

// The lab this program runs in, by its environment at the first call; empty
// elsewhere. Thread-safe.
const std::optional<LabEnvironment>& ThisLab();

// What a tick of this host's TSC is: "instructions" in a lab, else "ticks".
const char* HostUnit();

// Features of VT-x or SVM without which the hypervisor takes another path, so
// that counts are not those of a CPU that has them.
struct PathFeatures {
  std::vector<std::string> present;  // by their names in /proc/cpuinfo
  std::vector<std::string> absent;   // "nrip_save (what KVM does without it)"
};

// By the flags of the first CPU in the text of /proc/cpuinfo: "flags" where
// they have svm, else "vmx flags". Neither: nothing is present or absent.
PathFeatures FindPathFeatures(absl::string_view cpuinfo);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_LAB_ENVIRONMENT_H_
