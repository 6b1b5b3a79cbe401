#include "backends/svm_amd/native/svm_processor.h"

#include "backends/svm_amd/native/svm_instructions.h"

namespace worldswitch::svm {

SvmProcessor ProbeSvmProcessor(const SvmFeatures& features) {
  constexpr std::uint32_t kTcg = 0x54474354;  // "TCGT" of "TCGTCGTCGTCG"
  constexpr std::uint32_t kHypervisor = 1u << 31;
  constexpr std::uint32_t kHypervisorLeaf = 0x40000000;
  if ((Cpuid(1).ecx & kHypervisor) != 0 && Cpuid(kHypervisorLeaf).ebx == kTcg) {
    return SvmProcessor::kQemu;
  }
  // Bochs does not say so; but no processor has NRIPS and the PAUSE filter and
  // neither decode assists nor clean bits.
  return features.nrip() && features.pause_filter() &&
                 !features.decode_assists() && !features.clean_bits()
             ? SvmProcessor::kBochs
             : SvmProcessor::kOther;
}

}  // namespace worldswitch::svm
