// DR0 to DR3 of a guest. VMRUN switches DR6 and DR7 alone (APM 2, 15.5), so the
// guest's MOVs exit, the addresses are kept here, and are in the processor only
// while the guest has a breakpoint armed, and runs.
//
// Ring 0, one processor. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_DEBUG_REGISTERS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_DEBUG_REGISTERS_H_

#include <cstdint>

#include "backends/svm_amd/native/vmcb.h"

namespace worldswitch::svm {

class SvmDebugRegisters {
 public:
  // spares_data: no breakpoint on data is armed, though the guest reads that it
  // is. QEMU 7.2 aborts at one that is hit while it delivers an exception.
  explicit SvmDebugRegisters(bool spares_data) : spares_data_(spares_data) {}

  // number: 0 to 3, 6 or 7. False: #GP, the upper half of DR6 or DR7.
  bool Write(VmcbSave& save, unsigned number, std::uint64_t value);
  std::uint64_t Read(const VmcbSave& save, unsigned number) const;
  // DR7 enables a breakpoint.
  bool armed() const { return armed_; }
  // Exchanges DR0 to DR3 of host and guest: before a run, and behind it.
  void Exchange();

 private:
  const bool spares_data_;
  bool armed_ = false;
  std::uint64_t dr7_ = kDr7Reset;  // the guest's
  std::uint64_t address_[4] = {};
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_DEBUG_REGISTERS_H_
