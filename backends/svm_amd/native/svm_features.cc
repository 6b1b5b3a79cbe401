#include "backends/svm_amd/native/svm_features.h"

#include "backends/svm_amd/native/svm_instructions.h"
#include "backends/svm_amd/svm_capability.h"
#include "core/text_line.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint32_t kLeafExtended = 0x80000001;
constexpr std::uint32_t kLeafSizes = 0x80000008;
constexpr std::uint32_t kNoExecute = 1u << 20;
constexpr std::uint32_t kPages1Gib = 1u << 26;
constexpr std::uint32_t kAuth = 0x68747541;  // EBX of "AuthenticAMD"
constexpr std::uint32_t kHygo = 0x6F677948;  // EBX of "HygonGenuine"

struct Optional {
  BitField field;
  const char* name;
  const char* without;  // what the backend does then
};

constexpr Optional kOptional[] = {
    {SvmFeatureEdx::kNrips, "NRIPS",
     "instruction lengths are decoded from the guest's memory"},
    {SvmFeatureEdx::kVmcbClean, "VmcbClean",
     "the processor reads all of the VMCB at each entry"},
    {SvmFeatureEdx::kFlushByAsid, "FlushByAsid",
     "a flush takes every ASID's entries"},
    {SvmFeatureEdx::kDecodeAssists, "DecodeAssists",
     "operands are decoded from the guest's memory"},
    {SvmFeatureEdx::kPauseFilter, "PauseFilter",
     "an intercepted PAUSE always exits"},
    {SvmFeatureEdx::kPauseFilterThreshold, "PauseFilterThreshold",
     "the PAUSE filter counts whatever the distance"},
};

}  // namespace

SvmFeatures ProbeSvmFeatures() {
  SvmFeatures features;
  const std::uint32_t vendor = Cpuid(0).ebx;
  if (vendor != kAuth && vendor != kHygo) return features;
  const std::uint32_t last = Cpuid(0x80000000).eax;
  if (last < kLeafExtended) return features;
  const CpuidLeaf extended = Cpuid(kLeafExtended);
  features.has_1gib_pages = (extended.edx & kPages1Gib) != 0;
  features.no_execute = (extended.edx & kNoExecute) != 0;
  if (last >= kLeafSizes) features.physical_bits = Cpuid(kLeafSizes).eax & 0xFF;
  if (last < kSvmCpuidLeaf || !kCpuidSvm.IsSet(extended.ecx)) return features;
  const CpuidLeaf leaf = Cpuid(kSvmCpuidLeaf);
  features.svm = true;
  features.revision =
      static_cast<std::uint32_t>(SvmRevisionEax::kRevision.Of(leaf.eax));
  features.asids = leaf.ebx;
  features.bits = leaf.edx;
  return features;
}

const char* MissingRequirement(const SvmFeatures& features) {
  if (!features.svm) return "the processor has no SVM (CPUID 8000_0001.ECX[2])";
  if (!features.nested_paging()) {
    return "the processor's SVM has no nested paging (CPUID "
           "8000_000A.EDX[0]); the backend keeps no shadow page tables";
  }
  if (features.asids < 2) {
    return "the processor has no address space identifier for a guest (CPUID "
           "8000_000A.EBX)";
  }
  return nullptr;
}

void ReportSvmFeatures(const SvmFeatures& features, ReportSink& sink) {
  sink.Fact("svm.revision",
            TextLine().AppendDecimal(features.revision).c_str());
  sink.Fact("svm.asids", TextLine().AppendDecimal(features.asids).c_str());
  sink.Fact("svm.features", TextLine().AppendHex(features.bits).c_str());
  for (const Optional& optional : kOptional) {
    if (optional.field.IsSet(features.bits)) {
      sink.Fact(TextLine().Append("feature.").Append(optional.name).c_str(),
                "yes");
    } else {
      sink.Fact(TextLine().Append("refused.").Append(optional.name).c_str(),
                optional.without);
    }
  }
}

}  // namespace worldswitch::svm
