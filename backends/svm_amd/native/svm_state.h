// The guest's special registers between the contract and the VMCB's save area,
// and the state that a vCPU begins with.
//
// Freestanding: no hardware is touched here.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_H_

#include "backends/svm_amd/native/vmcb.h"
#include "core/registers.h"

namespace worldswitch::svm {

// As after INIT (APM 2, 14.1.3), but for EFER.SVME, which VMRUN wants set.
void ResetSvmState(Vmcb& vmcb);

// IA32_APIC_BASE is in no VMCB: the caller keeps it.
void SpecialFromVmcb(const Vmcb& vmcb, SpecialRegisters& special);
void SpecialToVmcb(const SpecialRegisters& special, Vmcb& vmcb);

// False: in no mode of the processor (paging without protection), whatever
// VMRUN makes of it.
bool IsPossibleState(const SpecialRegisters& special);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_STATE_H_
