// "Checks on VMX Controls": VMfailValid 7.

#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {
namespace {

using enum VmcsField;
using namespace vmx_check;  // NOLINT: the tables' own words

constexpr unsigned kTprShadow = 21;
constexpr unsigned kVirtualizeApic = 0;
constexpr unsigned kX2Apic = 4;
constexpr unsigned kApicRegisters = 8;
constexpr unsigned kVirtualInterrupts = 9;
constexpr unsigned kShadowing = 14;
constexpr unsigned kPml = 17;
constexpr unsigned kSaveTimer = 22;
constexpr unsigned kEntryToSmm = 10;
constexpr unsigned kDeactivateDualMonitor = 11;

constexpr std::uint64_t Bit(unsigned bit) { return std::uint64_t{1} << bit; }

constexpr VmxCheckCase Case(const char* name, VmxCheckWrite w0,
                            VmxCheckWrite w1 = {}, VmxCheckWrite w2 = {},
                            VmxCheckWrite w3 = {}) {
  return {.name = name, .expected = kBadControl, .writes = {w0, w1, w2, w3}};
}

// Where the CPU's secondary controls allow `bit`.
constexpr VmxCheckCase Needs(VmxCheckCase check, VmcsField field,
                             unsigned bit) {
  check.needs_field = static_cast<std::uint16_t>(field);
  check.needs_bit = static_cast<std::uint8_t>(bit);
  return check;
}

// Bit 56 of IA32_VMX_BASIC lets any exception have an error code or none.
constexpr VmxCheckCase OfErrorCodes(VmxCheckCase check) {
  check.of_error_codes = true;
  return check;
}

// An event in the VM-entry fields. Software ones want a length.
constexpr VmxCheckCase Event(const char* name, std::uint64_t information,
                             std::uint64_t error_code = 0,
                             std::uint64_t length = 2) {
  return Case(name, Set(kEntryInterruption, Bit(31) | information),
              Set(kEntryErrorCode, error_code),
              Set(kEntryInstructionLength, length),
              // So that nothing but the event is wrong.
              SetBits(kGuestRflags, Bit(9)));
}
constexpr std::uint64_t Type(unsigned type) { return type << 8; }
constexpr std::uint64_t kWithCode = Bit(11);

constexpr VmxCheckCase kCases[] = {
    Case("control.pin.required_clear",
         Write(kPinBasedControls, How::kClearRequired)),
    Case("control.pin.reserved_set",
         Write(kPinBasedControls, How::kSetForbidden)),
    Case("control.primary.required_clear",
         Write(kPrimaryControls, How::kClearRequired)),
    Case("control.primary.reserved_set",
         Write(kPrimaryControls, How::kSetForbidden)),
    Case("control.secondary.reserved_set",
         Write(kSecondaryControls, How::kSetForbidden)),
    Case("control.cr3_target_count", Set(kCr3TargetCount, 5)),
    Case("control.io_bitmap_a.unaligned",
         SetBits(kPrimaryControls, Bit(vmx::kUseIoBitmaps)),
         Write(kIoBitmapA, How::kSetPage, 1), Write(kIoBitmapB, How::kSetPage)),
    Case("control.io_bitmap_b.beyond_memory",
         SetBits(kPrimaryControls, Bit(vmx::kUseIoBitmaps)),
         Write(kIoBitmapA, How::kSetPage),
         Write(kIoBitmapB, How::kBeyondMemory)),
    Case("control.msr_bitmap.unaligned",
         SetBits(kPrimaryControls, Bit(vmx::kUseMsrBitmaps)),
         Write(kMsrBitmap, How::kSetPage, 8)),
    Case("control.msr_bitmap.beyond_memory",
         SetBits(kPrimaryControls, Bit(vmx::kUseMsrBitmaps)),
         Write(kMsrBitmap, How::kBeyondMemory)),
    Needs(Case("control.virtual_apic.unaligned",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kSetPage, 16)),
          kPrimaryControls, kTprShadow),
    Needs(Case("control.virtual_apic.beyond_memory",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kBeyondMemory)),
          kPrimaryControls, kTprShadow),
    Needs(Case("control.tpr_threshold.reserved",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kSetPage), Set(kTprThreshold, 0x10)),
          kPrimaryControls, kTprShadow),
    Needs(Case("control.tpr_threshold.above_tpr",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kSetPage), Set(kTprThreshold, 1)),
          kPrimaryControls, kTprShadow),
    Case("control.nmi_exiting.clear_with_virtual_nmis",
         ClearBits(kPinBasedControls, Bit(vmx::kPinNmi)),
         SetBits(kPinBasedControls, Bit(vmx::kPinVirtualNmis))),
    Case("control.nmi_window.without_virtual_nmis",
         ClearBits(kPinBasedControls, Bit(vmx::kPinVirtualNmis)),
         SetBits(kPrimaryControls, Bit(vmx::kNmiWindow))),
    Needs(Case("control.apic_access.unaligned",
               SetBits(kSecondaryControls, Bit(kVirtualizeApic)),
               Write(kApicAccess, How::kSetPage, 32)),
          kSecondaryControls, kVirtualizeApic),
    Needs(Case("control.x2apic.without_tpr_shadow",
               SetBits(kSecondaryControls, Bit(kX2Apic))),
          kSecondaryControls, kX2Apic),
    Needs(Case("control.x2apic.with_apic_access",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kSetPage),
               SetBits(kSecondaryControls, Bit(kX2Apic) | Bit(kVirtualizeApic)),
               Write(kApicAccess, How::kSetPage)),
          kSecondaryControls, kX2Apic),
    Needs(Case("control.apic_registers.without_tpr_shadow",
               SetBits(kSecondaryControls, Bit(kApicRegisters))),
          kSecondaryControls, kApicRegisters),
    Needs(Case("control.virtual_interrupts.without_interrupt_exiting",
               SetBits(kPrimaryControls, Bit(kTprShadow)),
               Write(kVirtualApic, How::kSetPage),
               SetBits(kSecondaryControls, Bit(kVirtualInterrupts)),
               ClearBits(kPinBasedControls, Bit(vmx::kPinExternalInterrupt))),
          kSecondaryControls, kVirtualInterrupts),
    Needs(
        Case("control.vpid.zero",
             SetBits(kSecondaryControls, Bit(vmx::kEnableVpid)), Set(kVpid, 0)),
        kSecondaryControls, vmx::kEnableVpid),
    Case("control.eptp.memory_type", SetBits(kEptp, 7)),
    Case("control.eptp.walk_length", ClearBits(kEptp, 7 << 3),
         SetBits(kEptp, 2 << 3)),
    Case("control.eptp.reserved", SetBits(kEptp, 0xf00)),
    Case("control.eptp.beyond_memory",
         Write(kEptp, How::kBeyondMemory, 6 | 3 << 3)),
    Case("control.unrestricted.without_ept",
         ClearBits(kSecondaryControls, Bit(vmx::kEnableEpt))),
    Needs(Case("control.pml.unaligned", SetBits(kSecondaryControls, Bit(kPml)),
               Write(kPmlAddress, How::kSetPage, 64)),
          kSecondaryControls, kPml),
    Needs(Case("control.pml.without_ept",
               ClearBits(kSecondaryControls,
                         Bit(vmx::kEnableEpt) | Bit(vmx::kUnrestrictedGuest)),
               SetBits(kSecondaryControls, Bit(kPml)),
               Write(kPmlAddress, How::kSetPage)),
          kSecondaryControls, kPml),
    Needs(Case("control.shadowing.vmread_bitmap_unaligned",
               SetBits(kSecondaryControls, Bit(kShadowing)),
               Write(kVmreadBitmap, How::kSetPage, 1),
               Write(kVmwriteBitmap, How::kSetPage)),
          kSecondaryControls, kShadowing),
    Needs(Case("control.vm_functions.reserved",
               SetBits(kSecondaryControls, Bit(kSecondaryEnableVmFunctions)),
               Set(kVmFunctionControls, Bit(63))),
          kSecondaryControls, kSecondaryEnableVmFunctions),

    Case("control.exit.required_clear",
         Write(kExitControls, How::kClearRequired)),
    Case("control.exit.reserved_set", Write(kExitControls, How::kSetForbidden)),
    Case("control.exit.save_timer_without_timer",
         ClearBits(kPinBasedControls, Bit(vmx::kPinPreemptionTimer)),
         SetBits(kExitControls, Bit(kSaveTimer))),
    Case("control.exit.msr_store_unaligned", Set(kExitMsrStoreCount, 1),
         Write(kExitMsrStore, How::kSetPage, 8)),
    Case("control.exit.msr_store_beyond_memory", Set(kExitMsrStoreCount, 1),
         Write(kExitMsrStore, How::kBeyondMemory)),
    Case("control.exit.msr_load_unaligned", Set(kExitMsrLoadCount, 1),
         Write(kExitMsrLoad, How::kSetPage, 8)),

    Case("control.entry.required_clear",
         Write(kEntryControls, How::kClearRequired)),
    Case("control.entry.reserved_set",
         Write(kEntryControls, How::kSetForbidden)),
    Case("control.entry.msr_load_unaligned", Set(kEntryMsrLoadCount, 1),
         Write(kEntryMsrLoad, How::kSetPage, 4)),
    Case("control.entry.msr_load_beyond_memory", Set(kEntryMsrLoadCount, 1),
         Write(kEntryMsrLoad, How::kBeyondMemory)),
    Case("control.entry.to_smm", SetBits(kEntryControls, Bit(kEntryToSmm))),
    Case("control.entry.deactivate_dual_monitor",
         SetBits(kEntryControls, Bit(kDeactivateDualMonitor))),

    Event("control.event.reserved_type", Type(1) | 0x20),
    Event("control.event.nmi_of_another_vector", Type(2) | 3),
    Event("control.event.exception_above_31", Type(3) | 32),
    Event("control.event.other_event", Type(7) | 1),
    Event("control.event.interrupt_with_error_code",
          Type(0) | 0x20 | kWithCode),
    OfErrorCodes(Event("control.event.exception_with_error_code_it_has_not",
                       Type(3) | 6 | kWithCode)),
    OfErrorCodes(
        Event("control.event.exception_without_its_error_code", Type(3) | 13)),
    Event("control.event.error_code_too_wide", Type(3) | 13 | kWithCode,
          0x10000),
    Event("control.event.reserved_bits", Type(0) | 0x20 | Bit(12)),
    Event("control.event.software_interrupt_too_long", Type(4) | 0x20, 0, 16),
    Event("control.event.software_exception_too_long", Type(6) | 3, 0, 16),
    {.name = "control.event.error_code_in_real_mode",
     .guest = VmxCheckGuest::kReal,
     .expected = kBadControl,
     .writes = {Set(kEntryInterruption, Bit(31) | Type(3) | 13 | kWithCode),
                Set(kEntryErrorCode, 0)}},
};

}  // namespace

std::span<const VmxCheckCase> VmxControlCases() { return kCases; }

}  // namespace worldswitch
