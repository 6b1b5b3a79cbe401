// The guest-state area as the contract sees it: special registers in and out,
// real mode (unrestricted guest) and long mode alike, with the bits of CR0 and
// CR4 that VMX wants hidden from the guest.
//
// The VMCS is current while any of this is called. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_GUEST_STATE_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_GUEST_STATE_H_

#include <cstdint>

#include "backends/native/guest_view.h"
#include "backends/vmx_intel/native/vmcs.h"
#include "backends/vmx_intel/native/vmx_controls.h"
#include "backends/vmx_intel/vmx_capability.h"
#include "core/registers.h"
#include "core/vm_ops.h"

namespace worldswitch {

// Bits of the registers, by the manual's names (SDM 3A, 2.5; SDM 1, 3.4.3).
namespace x86 {
inline constexpr std::uint64_t kCr0Pe = 1u << 0;
inline constexpr std::uint64_t kCr0Ts = 1u << 3;
inline constexpr std::uint64_t kCr0Et = 1u << 4;
inline constexpr std::uint64_t kCr0Ne = 1u << 5;
inline constexpr std::uint64_t kCr0Nw = 1u << 29;
inline constexpr std::uint64_t kCr0Cd = 1u << 30;
inline constexpr std::uint64_t kCr0Pg = 1u << 31;
inline constexpr std::uint64_t kCr4Pae = 1u << 5;
inline constexpr std::uint64_t kCr4Vmxe = 1u << 13;
inline constexpr std::uint64_t kEferSce = 1u << 0;
inline constexpr std::uint64_t kEferLme = 1u << 8;
inline constexpr std::uint64_t kEferLma = 1u << 10;
inline constexpr std::uint64_t kEferNxe = 1u << 11;
inline constexpr std::uint64_t kFlagsFixed = 1u << 1;
inline constexpr std::uint64_t kFlagsTrap = 1u << 8;
inline constexpr std::uint64_t kFlagsInterrupt = 1u << 9;
}  // namespace x86

// What of CR0 and CR4 an entry demands, and so is kept from the guest.
class VmxFixedBits {
 public:
  VmxFixedBits() = default;
  // For an unrestricted guest: PE and PG are its own.
  explicit VmxFixedBits(const VmxCapabilities& capabilities);

  // What the register holds while the guest believes it holds `value`.
  std::uint64_t Cr0(std::uint64_t value) const;
  std::uint64_t Cr4(std::uint64_t value) const { return value | cr4_set_; }
  // The guest/host masks: a MOV that would change one of these bits exits.
  std::uint64_t cr0_mask() const { return cr0_mask_; }
  std::uint64_t cr4_mask() const { return cr4_mask_; }
  // Whether a guest may have that value at all; what it may not is #GP.
  bool Cr0Valid(std::uint64_t value) const;
  bool Cr4Valid(std::uint64_t value) const;

 private:
  std::uint64_t cr0_set_ = 0;
  std::uint64_t cr0_mask_ = 0;
  std::uint64_t cr4_set_ = 0;
  std::uint64_t cr4_mask_ = 0;
  std::uint64_t cr4_allowed_ = 0;
};

class VmxGuestState {
 public:
  VmxGuestState(Vmcs& vmcs, VmxControlWords& controls)
      : vmcs_(vmcs), controls_(controls) {}

  // The state behind a reset (SDM 3A, table "IA-32 and Intel 64 Processor
  // States Following Power-up, Reset, or INIT"), RIP, RSP and RFLAGS included.
  void WriteReset(const VmxFixedBits& fixed);

  // Whether an entry could take it, as far as can be told at once; the rest is
  // the entry's to refuse. memory: where the PDPTEs of PAE paging are read.
  bool Valid(const SpecialRegisters& special, const MemoryView& memory) const;
  // CR8 and IA32_APIC_BASE are kept here, not in the VMCS; CR2 is the vCPU's.
  void Write(const SpecialRegisters& special, const MemoryView& memory);
  // All but cr2.
  void Read(SpecialRegisters* special);

  // The guest's view.
  std::uint64_t ReadCr0();
  std::uint64_t ReadCr4();
  std::uint64_t ReadEfer();
  void WriteCr0(std::uint64_t value);
  void WriteCr4(std::uint64_t value);
  // As a MOV of the guest's own, number 0, 3 or 4: EFER.LMA follows CR0.PG, and
  // PAE paging loads its PDPTEs. False: #GP(0), nothing is changed.
  bool Move(unsigned number, std::uint64_t value, const MemoryView& memory);
  std::uint64_t cr8() const { return cr8_; }
  void set_cr8(std::uint64_t value) { cr8_ = value; }

  const VmxFixedBits& fixed() const { return fixed_; }
  // Bits of CR0 and CR4 that are to exit beside the fixed ones.
  void SetExitingBits(std::uint64_t cr0, std::uint64_t cr4);

  // For translating the guest's linear addresses.
  GuestPaging Paging();
  Segment ReadSegment(VmcsSegment segment);

 private:
  void WriteSegment(VmcsSegment segment, const Segment& value);
  void WritePdptes(const SpecialRegisters& special, const MemoryView& memory);

  Vmcs& vmcs_;
  VmxControlWords& controls_;
  VmxFixedBits fixed_;
  // As they were written last.
  std::uint64_t cr0_mask_ = 0;
  std::uint64_t cr4_mask_ = 0;
  std::uint64_t cr8_ = 0;
  std::uint64_t apic_base_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_GUEST_STATE_H_
