// The contract's registers to and from KVM's structures.

#ifndef WORLDSWITCH_BACKENDS_KVM_REGISTER_CONVERT_H_
#define WORLDSWITCH_BACKENDS_KVM_REGISTER_CONVERT_H_

#include <cstddef>
#include <cstring>

#include "backends/kvm/kvm_header.h"
#include "core/registers.h"

namespace worldswitch {

// kvm_regs and GeneralRegisters hold the same values in the same order.
static_assert(sizeof(GeneralRegisters) == sizeof(kvm_regs));
static_assert(offsetof(GeneralRegisters, rsi) == offsetof(kvm_regs, rsi));
static_assert(offsetof(GeneralRegisters, rsp) == offsetof(kvm_regs, rsp));
static_assert(offsetof(GeneralRegisters, r8) == offsetof(kvm_regs, r8));
static_assert(offsetof(GeneralRegisters, r15) == offsetof(kvm_regs, r15));
static_assert(offsetof(GeneralRegisters, rip) == offsetof(kvm_regs, rip));
static_assert(offsetof(GeneralRegisters, rflags) == offsetof(kvm_regs, rflags));

inline void FromKvm(const kvm_regs& from, GeneralRegisters* to) {
  std::memcpy(to, &from, sizeof(*to));
}
inline void ToKvm(const GeneralRegisters& from, kvm_regs* to) {
  std::memcpy(to, &from, sizeof(*to));
}

void FromKvm(const kvm_sregs& from, SpecialRegisters* to);
// Leaves interrupt_bitmap zero: no interrupt is queued by setting registers.
void ToKvm(const SpecialRegisters& from, kvm_sregs* to);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_REGISTER_CONVERT_H_
