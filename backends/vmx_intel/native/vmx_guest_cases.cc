// "Checks on Guest Control Registers, Debug Registers, and MSRs", on GDTR and
// IDTR, on RIP and RFLAGS, on non-register state, on PDPTEs; "Loading MSRs".

#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {
namespace {

using enum VmcsField;
using namespace vmx_check;  // NOLINT: the tables' own words

constexpr std::uint64_t Bit(unsigned bit) { return std::uint64_t{1} << bit; }

constexpr auto kReal = VmxCheckGuest::kReal;
constexpr auto kLong = VmxCheckGuest::kLong;

constexpr VmxCheckCase Case(const char* name, VmxCheckGuest guest,
                            VmxCheckWrite w0, VmxCheckWrite w1 = {},
                            VmxCheckWrite w2 = {}, VmxCheckWrite w3 = {}) {
  return {.name = name,
          .guest = guest,
          .expected = BadGuestState(),
          .writes = {w0, w1, w2, w3}};
}

constexpr VmxCheckCase Expecting(VmxCheckOutcome expected, VmxCheckCase check) {
  check.expected = expected;
  return check;
}

constexpr std::uint64_t kInterruptFlag = Bit(9);
constexpr std::uint64_t kTrapFlag = Bit(8);
constexpr std::uint64_t kIrq = Bit(31) | 0x40;
constexpr std::uint64_t kNmi = Bit(31) | 2 << 8 | 2;
constexpr std::uint64_t kBySti = 1;
constexpr std::uint64_t kByMovSs = 2;
constexpr std::uint64_t kBySmi = 4;
constexpr std::uint64_t kByNmi = 8;
constexpr std::uint64_t kPendingSingleStep = Bit(14);
constexpr std::uint64_t kHalted = 1;

// 32-bit PAE paging, on the real-mode guest's segments.
constexpr VmxCheckWrite kPaeCr0 = SetBits(kGuestCr0, Bit(31) | Bit(0));
constexpr VmxCheckWrite kPaeCr4 = SetBits(kGuestCr4, Bit(5));

constexpr VmxCheckCase kCases[] = {
    Case("guest.cr0.pg_without_pe", kReal, SetBits(kGuestCr0, Bit(31))),
    Case("guest.cr0.ne_clear", kReal, ClearBits(kGuestCr0, Bit(5))),
    Case("guest.cr0.reserved", kReal, SetBits(kGuestCr0, Bit(32))),
    Case("guest.cr4.vmxe_clear", kReal, ClearBits(kGuestCr4, Bit(13))),
    Case("guest.cr4.reserved", kReal, SetBits(kGuestCr4, Bit(31))),
    Case("guest.cr3.beyond_memory", kLong,
         Write(kGuestCr3, How::kBeyondMemory)),
    Case("guest.long_mode.without_pae", kLong, ClearBits(kGuestCr4, Bit(5))),
    Case("guest.long_mode.without_paging", kLong,
         ClearBits(kGuestCr0, Bit(31))),
    Case("guest.pcide.outside_long_mode", kReal, SetBits(kGuestCr4, Bit(17))),
    Case("guest.debugctl.reserved", kLong, Set(kGuestDebugctl, Bit(2))),
    Case("guest.dr7.upper_half", kLong, SetBits(kGuestDr7, Bit(32))),
    Case("guest.sysenter_esp.not_canonical", kLong,
         Set(kGuestSysenterEsp, kNotCanonical)),
    Case("guest.sysenter_eip.not_canonical", kLong,
         Set(kGuestSysenterEip, kNotCanonical)),
    Case("guest.pat.reserved_type", kLong,
         SetBits(kEntryControls, Bit(vmx::kEntryLoadPat)), Set(kGuestPat, 3)),
    Case("guest.efer.reserved", kLong,
         SetBits(kEntryControls, Bit(vmx::kEntryLoadEfer)),
         SetBits(kGuestEfer, Bit(2))),
    Case("guest.efer.lma_clear", kLong,
         SetBits(kEntryControls, Bit(vmx::kEntryLoadEfer)),
         ClearBits(kGuestEfer, Bit(10))),
    Case("guest.efer.lma_set_in_real_mode", kReal,
         SetBits(kEntryControls, Bit(vmx::kEntryLoadEfer)),
         SetBits(kGuestEfer, Bit(10))),
    Case("guest.efer.lme_clear_with_paging", kLong,
         SetBits(kEntryControls, Bit(vmx::kEntryLoadEfer)),
         ClearBits(kGuestEfer, Bit(8))),

    Case("guest.gdtr_base.not_canonical", kLong,
         Set(kGuestGdtrBase, kNotCanonical)),
    Case("guest.idtr_base.not_canonical", kLong,
         Set(kGuestIdtrBase, kNotCanonical)),
    Case("guest.gdtr_limit.too_wide", kLong, SetBits(kGuestGdtrLimit, Bit(16))),
    Case("guest.idtr_limit.too_wide", kLong, SetBits(kGuestIdtrLimit, Bit(16))),

    Case("guest.rip.upper_half_in_real_mode", kReal,
         SetBits(kGuestRip, Bit(32))),
    Case("guest.rip.not_canonical", kLong, Set(kGuestRip, kNotCanonical)),
    Case("guest.rflags.fixed_clear", kLong, ClearBits(kGuestRflags, Bit(1))),
    Case("guest.rflags.bit_3", kLong, SetBits(kGuestRflags, Bit(3))),
    Case("guest.rflags.bit_15", kLong, SetBits(kGuestRflags, Bit(15))),
    Case("guest.rflags.bit_22", kLong, SetBits(kGuestRflags, Bit(22))),
    Case("guest.rflags.bit_63", kLong, SetBits(kGuestRflags, Bit(63))),
    Case("guest.rflags.vm_in_long_mode", kLong, SetBits(kGuestRflags, Bit(17))),
    Case("guest.rflags.vm_without_pe", kReal, SetBits(kGuestRflags, Bit(17))),
    Case("guest.rflags.if_clear_with_interrupt", kLong,
         ClearBits(kGuestRflags, kInterruptFlag),
         Set(kEntryInterruption, kIrq)),

    Case("guest.activity.no_such_state", kLong, Set(kGuestActivity, 4)),
    Case("guest.activity.halted_at_cpl_3", kLong, Set(kGuestActivity, kHalted),
         SetBits(kGuestSsAccessRights, 3 << 5),
         SetBits(kGuestCsAccessRights, 3 << 5)),
    Case("guest.activity.halted_behind_sti", kLong,
         Set(kGuestActivity, kHalted), Set(kGuestInterruptibility, kBySti),
         SetBits(kGuestRflags, kInterruptFlag)),
    Case("guest.activity.shutdown_with_interrupt", kLong,
         Set(kGuestActivity, 2), Set(kEntryInterruption, kIrq),
         SetBits(kGuestRflags, kInterruptFlag)),
    Case("guest.activity.wait_for_sipi_with_nmi", kLong, Set(kGuestActivity, 3),
         Set(kEntryInterruption, kNmi)),

    Case("guest.interruptibility.reserved", kLong,
         Set(kGuestInterruptibility, Bit(5))),
    Case("guest.interruptibility.sti_and_mov_ss", kLong,
         Set(kGuestInterruptibility, kBySti | kByMovSs),
         SetBits(kGuestRflags, kInterruptFlag)),
    Case("guest.interruptibility.sti_with_if_clear", kLong,
         Set(kGuestInterruptibility, kBySti),
         ClearBits(kGuestRflags, kInterruptFlag)),
    Case("guest.interruptibility.sti_with_interrupt", kLong,
         Set(kGuestInterruptibility, kBySti),
         SetBits(kGuestRflags, kInterruptFlag), Set(kEntryInterruption, kIrq)),
    Case("guest.interruptibility.mov_ss_with_interrupt", kLong,
         Set(kGuestInterruptibility, kByMovSs),
         SetBits(kGuestRflags, kInterruptFlag), Set(kEntryInterruption, kIrq)),
    Case("guest.interruptibility.mov_ss_with_nmi", kLong,
         Set(kGuestInterruptibility, kByMovSs), Set(kEntryInterruption, kNmi)),
    Case("guest.interruptibility.smi_outside_smm", kLong,
         Set(kGuestInterruptibility, kBySmi)),
    Case("guest.interruptibility.nmi_with_nmi", kLong,
         SetBits(kPinBasedControls, Bit(vmx::kPinVirtualNmis)),
         Set(kGuestInterruptibility, kByNmi), Set(kEntryInterruption, kNmi)),

    Case("guest.pending_debug.reserved", kLong,
         Set(kGuestPendingDebug, Bit(5))),
    Case("guest.pending_debug.bs_clear_with_tf", kLong,
         SetBits(kGuestRflags, kTrapFlag | kInterruptFlag),
         Set(kGuestInterruptibility, kBySti), Set(kGuestPendingDebug, 0)),
    Case("guest.pending_debug.bs_set_without_tf", kLong,
         ClearBits(kGuestRflags, kTrapFlag),
         SetBits(kGuestRflags, kInterruptFlag),
         Set(kGuestInterruptibility, kBySti),
         Set(kGuestPendingDebug, kPendingSingleStep)),

    Expecting(BadGuestState(4), Case("guest.link_pointer.unaligned", kLong,
                                     Write(kLinkPointer, How::kSetPage, 1))),
    Expecting(BadGuestState(4), Case("guest.link_pointer.beyond_memory", kLong,
                                     Write(kLinkPointer, How::kBeyondMemory))),
    // The page holds zeros, and that is no CPU's revision.
    Expecting(BadGuestState(4), Case("guest.link_pointer.revision", kLong,
                                     Write(kLinkPointer, How::kSetPage))),
    Expecting(BadGuestState(2), Case("guest.pdpte0.reserved", kReal, kPaeCr0,
                                     kPaeCr4, Set(kGuestPdpte0, 1 | Bit(1)))),
    Expecting(BadGuestState(2), Case("guest.pdpte3.reserved", kReal, kPaeCr0,
                                     kPaeCr4, Set(kGuestPdpte3, 1 | Bit(5)))),

    // The page's first entries: see VmxChecker.
    Expecting(BadMsr(1),
              Case("msr_load.fs_base", kLong, Set(kEntryMsrLoadCount, 1),
                   Write(kEntryMsrLoad, How::kSetPage, 0x100))),
    Expecting(BadMsr(2),
              Case("msr_load.second_entry", kLong, Set(kEntryMsrLoadCount, 2),
                   Write(kEntryMsrLoad, How::kSetPage, 0x200))),
    Expecting(BadMsr(1),
              Case("msr_load.reserved_bits", kLong, Set(kEntryMsrLoadCount, 1),
                   Write(kEntryMsrLoad, How::kSetPage, 0x300))),
};

}  // namespace

std::span<const VmxCheckCase> VmxGuestCases() { return kCases; }

}  // namespace worldswitch
