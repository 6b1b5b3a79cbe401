// What VMRUN checks before it enters a guest, rule by rule (APM 2, 15.5.1,
// "Canonicalization and Consistency Checks"; 15.20 for events, 15.25.4 for
// nested paging). The processor only says VMEXIT_INVALID; these say why.
//
//   const SvmStateRule* rule = FirstBrokenRule(vmcb, limits);
//
// Freestanding: pure functions of a VMCB.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_RULES_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_RULES_H_

#include <cstddef>
#include <cstdint>

#include "backends/svm_amd/native/vmcb.h"

namespace worldswitch::svm {

// What the rules depend on beside the VMCB: the processor's own.
struct SvmLimits {
  unsigned physical_bits = 48;
  // Bits of CR4 and EFER that are there to be set.
  std::uint64_t cr4_bits = 0x00000000'00F7'1FFF;
  std::uint64_t efer_bits = 0x00000000'0036'FD01;
};
// Of this processor, from CPUID. Ring 0 only.
SvmLimits ProbeSvmLimits();

struct SvmStateRule {
  const char* name = "";  // "efer_svme_clear"
  const char* text = "";  // in the manual's terms
  bool (*is_broken)(const Vmcb& vmcb, const SvmLimits& limits) = nullptr;
};

struct SvmStateRules {
  const SvmStateRule* begin_;
  std::size_t size_;
  const SvmStateRule* begin() const { return begin_; }
  const SvmStateRule* end() const { return begin_ + size_; }
  std::size_t size() const { return size_; }
};
SvmStateRules AllSvmStateRules();

// Null: none is.
const SvmStateRule* FirstBrokenRule(const Vmcb& vmcb, const SvmLimits& limits);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_RULES_H_
