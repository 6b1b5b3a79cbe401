// A refused entry, explained: the rule that was broken, then the VMCB, field by
// field, by the manual's names.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FAILURE_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FAILURE_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/svm_amd/native/svm_state_rules.h"
#include "backends/svm_amd/native/vmcb.h"

namespace worldswitch::svm {

// VMRUN did not enter: what kind of refusal, and why as far as software can
// tell.
struct SvmFailure {
  enum class Kind : std::uint8_t {
    kNone,
    kInvalid,  // VMEXIT_INVALID
    kBusy,     // VMEXIT_BUSY, VMEXIT_IDLE_REQUIRED, VMEXIT_INVALID_PMC
  };
  Kind kind = Kind::kNone;
  std::uint64_t exit_code = 0;          // as the processor stored it
  const SvmStateRule* rule = nullptr;   // null: none that software knows of
};

struct VmcbField {
  const char* name;
  std::uint16_t offset;
  std::uint8_t bytes;  // 1, 2, 4 or 8
};
struct VmcbFields {
  const VmcbField* begin_;
  std::size_t size_;
  const VmcbField* begin() const { return begin_; }
  const VmcbField* end() const { return begin_ + size_; }
};
// By offset.
VmcbFields AllVmcbFields();
std::uint64_t ReadVmcbField(const Vmcb& vmcb, const VmcbField& field);

// Through host.log: the failure, every broken rule, every field.
void DumpVmcb(const Vmcb& vmcb, const SvmFailure& failure,
              const SvmLimits& limits, const HostServices& host);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FAILURE_H_
