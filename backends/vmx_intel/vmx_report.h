// The capabilities of VT-x on a host, decoded for `probe`: the processor's own
// MSRs, what the kernel tells where those cannot be read, and, beside them,
// what KVM offers to nested guests.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_REPORT_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_REPORT_H_

#include <string>
#include <vector>

#include "backends/vmx_intel/vmx_capability.h"
#include "core/host/capability_report.h"

namespace worldswitch {

// One group for each MSR that is known: controls with "always 0", "0 or 1",
// "always 1", fields with their values, the CR masks with the bits' names.
std::vector<CapabilityGroup> VmxCapabilityGroups(const VmxCapabilities& vmx);

// The words of /proc/cpuinfo's "vmx flags" in the manual's words. A flag that
// is not known here keeps its own.
CapabilityGroup VmxFlagsGroup(const std::vector<std::string>& flags);

std::vector<CapabilityReport> VmxReports(const CapabilitySources& sources);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_REPORT_H_
