// What a vendor's virtualization can do, ready to be shown: registers decoded
// by the manual's names, each report with the word of whom it is. And where
// such reports read from, so that tests put other machines in their place.

#ifndef WORLDSWITCH_CORE_HOST_CAPABILITY_REPORT_H_
#define WORLDSWITCH_CORE_HOST_CAPABILITY_REPORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/host/backend.h"
#include "core/host/tsc_frequency.h"

namespace worldswitch {

// One register, or one group of controls.
struct CapabilityGroup {
  std::string name;  // "secondary processor-based VM-execution controls"
  std::string register_name;  // "IA32_VMX_PROCBASED_CTLS2 (0x48b)"
  std::optional<std::uint64_t> value;
  // By the manual's names, with "yes", "no", "0 or 1", "always 1", a number...
  std::vector<Fact> facts;
};

struct CapabilityReport {
  std::string vendor;  // "VT-x" or "SVM"
  std::string of;      // "the processor", "KVM's offer to nested guests"
  std::string source;  // "/dev/cpu/0/msr", "KVM_GET_MSRS on /dev/kvm"
  // Empty, or why there is nothing or not everything, with the remedy.
  std::string note;
  std::vector<CapabilityGroup> groups;
};

// Where the reports of a host come from.
struct CapabilitySources {
  // An MSR of a processor of this host, by its index.
  std::function<absl::StatusOr<std::uint64_t>(std::uint32_t)> read_msr;
  std::string msr_source;  // "/dev/cpu/0/msr"
  CpuSource cpu;           // CPUID of this host
  std::string cpuinfo;     // text of /proc/cpuinfo
  // KVM's feature MSRs by index; an error: why there are none.
  absl::StatusOr<std::map<std::uint32_t, std::uint64_t>> kvm_feature_msrs =
      absl::UnavailableError("not asked");
  // Leaves of KVM_GET_SUPPORTED_CPUID that vendors need, by number.
  std::map<std::uint32_t, CpuidResult> kvm_cpuid;
  std::string kvm_source;  // "/dev/kvm"
};

// Of this host, without the KVM part. root: where dev/ and proc/ are.
CapabilitySources HostCapabilitySources(const std::string& root = "/");

// The values of a line "name : a b c" of /proc/cpuinfo's first processor;
// empty if there is no such line.
std::vector<std::string> CpuInfoWords(const std::string& cpuinfo,
                                      const std::string& name);

// "IA32_VMX_BASIC (0x480)".
std::string RegisterTitle(const char* name, std::uint32_t index);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_CAPABILITY_REPORT_H_
