#include "backends/svm_amd/svm_report.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "backends/svm_amd/svm_capability.h"
#include "core/host/bit_field_text.h"

namespace worldswitch {
namespace {

constexpr char kVendor[] = "SVM";
constexpr std::uint32_t kHighestExtendedLeaf = 0x80000000;
constexpr std::uint32_t kExtendedFeatures = 0x80000001;

bool HasSvm(const CpuSource& cpu) {
  return cpu.cpuid(kHighestExtendedLeaf, 0).eax >= kSvmCpuidLeaf &&
         kCpuidSvm.IsSet(cpu.cpuid(kExtendedFeatures, 0).ecx);
}

CapabilityGroup Register(const char* name, const char* register_name,
                         BitFields fields, std::uint32_t value) {
  return {.name = name,
          .register_name = absl::StrCat("CPUID 8000_000A ", register_name),
          .value = value,
          .facts = BitFieldFacts(fields, value)};
}

CapabilityReport ProcessorReport(const CapabilitySources& sources) {
  CapabilityReport report;
  report.vendor = kVendor;
  report.of = "the processor";
  if (!HasSvm(sources.cpu)) {
    report.source = "CPUID 8000_0001 ECX";
    report.note = "bit 2 is 0: no SVM here";
    return report;
  }
  report.source = "CPUID";
  report.groups = SvmCapabilityGroups(sources.cpu.cpuid(kSvmCpuidLeaf, 0));
  const absl::StatusOr<std::uint64_t> vm_cr = sources.read_msr(kVmCrMsr);
  if (!vm_cr.ok()) {
    report.note =
        absl::StrCat("VM_CR is not known: ", vm_cr.status().message());
    return report;
  }
  absl::StrAppend(&report.source, ", ", sources.msr_source);
  report.groups.push_back({.name = "virtual machine control",
                           .register_name = RegisterTitle("VM_CR", kVmCrMsr),
                           .value = *vm_cr,
                           .facts = BitFieldFacts(SvmVmCr::kAll, *vm_cr)});
  return report;
}

CapabilityReport NestedReport(const CapabilitySources& sources) {
  CapabilityReport report;
  report.vendor = kVendor;
  report.of = "what KVM offers to nested guests, not the processor";
  report.source =
      absl::StrCat("KVM_GET_SUPPORTED_CPUID on ", sources.kvm_source);
  const auto features = sources.kvm_cpuid.find(kExtendedFeatures);
  const auto leaf = sources.kvm_cpuid.find(kSvmCpuidLeaf);
  if (features == sources.kvm_cpuid.end()) {
    report.note =
        sources.kvm_feature_msrs.ok()
            ? "no CPUID leaf 8000_0001"
            : std::string(sources.kvm_feature_msrs.status().message());
  } else if (!kCpuidSvm.IsSet(features->second.ecx) ||
             leaf == sources.kvm_cpuid.end()) {
    report.note = "the engine offers no SVM to its guests";
  } else {
    report.groups = SvmCapabilityGroups(leaf->second);
  }
  return report;
}

}  // namespace

std::vector<CapabilityGroup> SvmCapabilityGroups(const CpuidResult& leaf) {
  return {
      Register("SVM revision", "EAX", SvmRevisionEax::kAll, leaf.eax),
      Register("address space identifiers", "EBX", SvmAsidsEbx::kAll, leaf.ebx),
      Register("SVM features", "EDX", SvmFeatureEdx::kAll, leaf.edx),
      Register("more SVM features", "ECX", SvmFeatureEcx::kAll, leaf.ecx)};
}

std::vector<CapabilityReport> SvmReports(const CapabilitySources& sources) {
  return {ProcessorReport(sources), NestedReport(sources)};
}

}  // namespace worldswitch
