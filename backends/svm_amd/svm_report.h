// The capabilities of SVM on a host, decoded for `probe`: what CPUID and the
// MSR VM_CR tell of the processor and, beside them, what KVM offers to nested
// guests.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_SVM_REPORT_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_SVM_REPORT_H_

#include <vector>

#include "core/host/capability_report.h"
#include "core/host/tsc_frequency.h"

namespace worldswitch {

// One group for each register of CPUID 8000_000A: "yes", "no" or a number for
// each of the manual's names.
std::vector<CapabilityGroup> SvmCapabilityGroups(const CpuidResult& leaf);

std::vector<CapabilityReport> SvmReports(const CapabilitySources& sources);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_SVM_REPORT_H_
