#include "backends/vmx_intel/native/vmx_guest_state.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

constexpr std::uint64_t kCr0Reserved = 0xffff'ffff'1ffa'ffc0;
constexpr std::uint64_t kHighestCr8 = 15;
constexpr std::uint64_t kEferKnown =
    x86::kEferSce | x86::kEferLme | x86::kEferLma | x86::kEferNxe;

// Access rights: present, accessed, and "unusable".
constexpr std::uint32_t kRightsCode = 0x9b;
constexpr std::uint32_t kRightsData = 0x93;
constexpr std::uint32_t kRightsLdt = 0x82;
constexpr std::uint32_t kRightsBusyTss = 0x8b;

constexpr std::uint64_t kResetPat = 0x0007'0406'0007'0406;
constexpr std::uint64_t kResetDr7 = 0x400;
constexpr std::uint64_t kResetApicBase = 0xfee0'0900;  // enabled, of the BSP
constexpr std::uint64_t kNoLink = ~std::uint64_t{0};

struct NamedSegment {
  VmcsSegment segment;
  Segment SpecialRegisters::*member;
};
constexpr NamedSegment kSegments[] = {
    {VmcsSegment::kEs, &SpecialRegisters::es},
    {VmcsSegment::kCs, &SpecialRegisters::cs},
    {VmcsSegment::kSs, &SpecialRegisters::ss},
    {VmcsSegment::kDs, &SpecialRegisters::ds},
    {VmcsSegment::kFs, &SpecialRegisters::fs},
    {VmcsSegment::kGs, &SpecialRegisters::gs},
    {VmcsSegment::kLdtr, &SpecialRegisters::ldtr},
    {VmcsSegment::kTr, &SpecialRegisters::tr},
};

constexpr std::uint64_t kPdpteTableMask = 0xffff'ffe0;
constexpr std::uint64_t kPdptes = 4;

bool UsesPaePaging(const SpecialRegisters& special) {
  return (special.cr0 & x86::kCr0Pg) != 0 &&
         (special.cr4 & x86::kCr4Pae) != 0 &&
         (special.efer & x86::kEferLma) == 0;
}

}  // namespace

VmxFixedBits::VmxFixedBits(const VmxCapabilities& capabilities)
    : cr0_set_(capabilities.Value(VmxMsr::kCr0Fixed0) &
               ~(x86::kCr0Pe | x86::kCr0Pg)),
      cr0_mask_(cr0_set_ | x86::kCr0Cd | x86::kCr0Nw),
      cr4_set_(capabilities.Value(VmxMsr::kCr4Fixed0)),
      cr4_mask_(cr4_set_ | x86::kCr4Vmxe),
      cr4_allowed_(capabilities.Value(VmxMsr::kCr4Fixed1) & ~x86::kCr4Vmxe) {}

std::uint64_t VmxFixedBits::Cr0(std::uint64_t value) const {
  // The caches are the host's: CD and NW stay clear.
  return (value | cr0_set_) & ~(x86::kCr0Cd | x86::kCr0Nw);
}

bool VmxFixedBits::Cr0Valid(std::uint64_t value) const {
  if ((value & kCr0Reserved) != 0) return false;
  if ((value & x86::kCr0Pg) != 0 && (value & x86::kCr0Pe) == 0) return false;
  return (value & x86::kCr0Nw) == 0 || (value & x86::kCr0Cd) != 0;
}

bool VmxFixedBits::Cr4Valid(std::uint64_t value) const {
  return (value & ~cr4_allowed_) == 0;
}

void VmxGuestState::WriteReset(const VmxFixedBits& fixed) {
  fixed_ = fixed;
  cr0_mask_ = fixed.cr0_mask();
  cr4_mask_ = fixed.cr4_mask();
  vmcs_.Write(VmcsField::kCr0Mask, cr0_mask_);
  vmcs_.Write(VmcsField::kCr4Mask, cr4_mask_);
  SpecialRegisters special = {};
  const Segment data = {
      .base = 0, .limit = 0xffff, .access_rights = kRightsData, .selector = 0};
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.cs = {.base = 0xffff'0000,
                .limit = 0xffff,
                .access_rights = kRightsCode,
                .selector = 0xf000};
  special.ldtr = data;
  special.ldtr.access_rights = kRightsLdt;
  special.tr = data;
  special.tr.access_rights = kRightsBusyTss;
  special.gdtr = {.base = 0, .limit = 0xffff};
  special.idtr = {.base = 0, .limit = 0xffff};
  special.cr0 = x86::kCr0Cd | x86::kCr0Nw | x86::kCr0Et;
  special.apic_base = kResetApicBase;
  Write(special, {});
  if (controls_.IsSet(Word::kEntry, vmx::kEntryLoadPat)) {
    vmcs_.Write(VmcsField::kGuestPat, kResetPat);
  }
  vmcs_.Write(VmcsField::kGuestDr7, kResetDr7);
  vmcs_.Write(VmcsField::kGuestDebugctl, 0);
  vmcs_.Write(VmcsField::kGuestSysenterCs, 0);
  vmcs_.Write(VmcsField::kGuestSysenterEsp, 0);
  vmcs_.Write(VmcsField::kGuestSysenterEip, 0);
  vmcs_.Write(VmcsField::kGuestPendingDebug, 0);
  vmcs_.Write(VmcsField::kGuestInterruptibility, 0);
  vmcs_.Write(VmcsField::kGuestActivity, 0);
  vmcs_.Write(VmcsField::kLinkPointer, kNoLink);
  vmcs_.Write(VmcsField::kGuestRip, 0xfff0);
  vmcs_.Write(VmcsField::kGuestRsp, 0);
  vmcs_.Write(VmcsField::kGuestRflags, x86::kFlagsFixed);
}

bool VmxGuestState::Valid(const SpecialRegisters& special,
                          const MemoryView& memory) const {
  if (!fixed_.Cr0Valid(special.cr0) || !fixed_.Cr4Valid(special.cr4)) {
    return false;
  }
  if ((special.efer & ~kEferKnown) != 0 || special.cr8 > kHighestCr8) {
    return false;
  }
  const bool paging = (special.cr0 & x86::kCr0Pg) != 0;
  const bool long_mode = (special.efer & x86::kEferLma) != 0;
  if (long_mode != (paging && (special.efer & x86::kEferLme) != 0)) {
    return false;
  }
  if (long_mode && (special.cr4 & x86::kCr4Pae) == 0) return false;
  return !UsesPaePaging(special) ||
         memory.At(special.cr3 & kPdpteTableMask, kPdptes * 8) != nullptr;
}

void VmxGuestState::Write(const SpecialRegisters& special,
                          const MemoryView& memory) {
  for (const NamedSegment& named : kSegments) {
    WriteSegment(named.segment, special.*named.member);
  }
  vmcs_.Write(VmcsField::kGuestGdtrBase, special.gdtr.base);
  vmcs_.Write(VmcsField::kGuestGdtrLimit, special.gdtr.limit);
  vmcs_.Write(VmcsField::kGuestIdtrBase, special.idtr.base);
  vmcs_.Write(VmcsField::kGuestIdtrLimit, special.idtr.limit);
  WriteCr0(special.cr0);
  WriteCr4(special.cr4);
  vmcs_.Write(VmcsField::kGuestCr3, special.cr3);
  controls_.SetIa32eGuest((special.efer & x86::kEferLma) != 0);
  if (controls_.IsSet(Word::kEntry, vmx::kEntryLoadEfer)) {
    vmcs_.Write(VmcsField::kGuestEfer, special.efer);
  }
  WritePdptes(special, memory);
  cr8_ = special.cr8;
  apic_base_ = special.apic_base;
}

// With EPT an entry takes the PDPTEs of PAE paging from the VMCS, not from
// memory ("Checks on Guest Page-Directory-Pointer-Table Entries").
void VmxGuestState::WritePdptes(const SpecialRegisters& special,
                                const MemoryView& memory) {
  if (!UsesPaePaging(special)) return;
  const std::byte* table =
      memory.At(special.cr3 & kPdpteTableMask, kPdptes * 8);
  if (table == nullptr) return;
  constexpr VmcsField kFields[kPdptes] = {
      VmcsField::kGuestPdpte0, VmcsField::kGuestPdpte1, VmcsField::kGuestPdpte2,
      VmcsField::kGuestPdpte3};
  for (std::uint64_t i = 0; i < kPdptes; ++i) {
    std::uint64_t entry = 0;
    __builtin_memcpy(&entry, table + i * 8, sizeof(entry));
    vmcs_.Write(kFields[i], entry);
  }
}

void VmxGuestState::Read(SpecialRegisters* special) {
  for (const NamedSegment& named : kSegments) {
    special->*named.member = ReadSegment(named.segment);
  }
  special->gdtr.base = vmcs_.Read(VmcsField::kGuestGdtrBase);
  special->gdtr.limit =
      static_cast<std::uint16_t>(vmcs_.Read(VmcsField::kGuestGdtrLimit));
  special->idtr.base = vmcs_.Read(VmcsField::kGuestIdtrBase);
  special->idtr.limit =
      static_cast<std::uint16_t>(vmcs_.Read(VmcsField::kGuestIdtrLimit));
  special->cr0 = ReadCr0();
  special->cr3 = vmcs_.Read(VmcsField::kGuestCr3);
  special->cr4 = ReadCr4();
  special->cr8 = cr8_;
  special->efer = ReadEfer();
  special->apic_base = apic_base_;
}

std::uint64_t VmxGuestState::ReadCr0() {
  return (vmcs_.Read(VmcsField::kGuestCr0) & ~cr0_mask_) |
         (vmcs_.Read(VmcsField::kCr0Shadow) & cr0_mask_);
}

std::uint64_t VmxGuestState::ReadCr4() {
  return (vmcs_.Read(VmcsField::kGuestCr4) & ~cr4_mask_) |
         (vmcs_.Read(VmcsField::kCr4Shadow) & cr4_mask_);
}

std::uint64_t VmxGuestState::ReadEfer() {
  if (controls_.IsSet(Word::kExit, vmx::kExitSaveEfer)) {
    return vmcs_.Read(VmcsField::kGuestEfer);
  }
  // Without switching, LME and LMA are all that is the guest's own.
  const std::uint64_t entry = vmcs_.Read(VmcsField::kEntryControls);
  return (entry & ControlBit(vmx::kEntryIa32eGuest)) != 0
             ? x86::kEferLme | x86::kEferLma
             : 0;
}

void VmxGuestState::WriteCr0(std::uint64_t value) {
  vmcs_.Write(VmcsField::kGuestCr0, fixed_.Cr0(value));
  vmcs_.Write(VmcsField::kCr0Shadow, value);
}

void VmxGuestState::WriteCr4(std::uint64_t value) {
  vmcs_.Write(VmcsField::kGuestCr4, fixed_.Cr4(value));
  vmcs_.Write(VmcsField::kCr4Shadow, value);
}

bool VmxGuestState::Move(unsigned number, std::uint64_t value,
                         const MemoryView& memory) {
  SpecialRegisters special = {};
  special.cr0 = number == 0 ? value : ReadCr0();
  special.cr3 = number == 3 ? value : vmcs_.Read(VmcsField::kGuestCr3);
  special.cr4 = number == 4 ? value : ReadCr4();
  special.efer = ReadEfer() & ~x86::kEferLma;
  if ((special.cr0 & x86::kCr0Pg) != 0 && (special.efer & x86::kEferLme) != 0) {
    special.efer |= x86::kEferLma;
  }
  if (!Valid(special, memory)) return false;
  switch (number) {
    case 0:
      WriteCr0(special.cr0);
      controls_.SetIa32eGuest((special.efer & x86::kEferLma) != 0);
      if (controls_.IsSet(Word::kEntry, vmx::kEntryLoadEfer)) {
        vmcs_.Write(VmcsField::kGuestEfer, special.efer);
      }
      break;
    case 3:
      vmcs_.Write(VmcsField::kGuestCr3, special.cr3);
      break;
    default:
      WriteCr4(special.cr4);
  }
  WritePdptes(special, memory);
  return true;
}

void VmxGuestState::SetExitingBits(std::uint64_t cr0, std::uint64_t cr4) {
  // The shadow takes over what the register told so far, and the other way
  // round.
  const std::uint64_t seen_cr0 = ReadCr0();
  const std::uint64_t seen_cr4 = ReadCr4();
  cr0_mask_ = fixed_.cr0_mask() | cr0;
  cr4_mask_ = fixed_.cr4_mask() | cr4;
  vmcs_.Write(VmcsField::kCr0Mask, cr0_mask_);
  vmcs_.Write(VmcsField::kCr4Mask, cr4_mask_);
  WriteCr0(seen_cr0);
  WriteCr4(seen_cr4);
}

GuestPaging VmxGuestState::Paging() {
  return {.cr0 = ReadCr0(),
          .cr3 = vmcs_.Read(VmcsField::kGuestCr3),
          .cr4 = ReadCr4(),
          .efer = ReadEfer()};
}

Segment VmxGuestState::ReadSegment(VmcsSegment segment) {
  return {.base = vmcs_.Read(SegmentField(VmcsField::kGuestEsBase, segment)),
          .limit = static_cast<std::uint32_t>(
              vmcs_.Read(SegmentField(VmcsField::kGuestEsLimit, segment))),
          .access_rights = static_cast<std::uint32_t>(vmcs_.Read(
              SegmentField(VmcsField::kGuestEsAccessRights, segment))),
          .selector = static_cast<std::uint16_t>(
              vmcs_.Read(SegmentField(VmcsField::kGuestEsSelector, segment)))};
}

void VmxGuestState::WriteSegment(VmcsSegment segment, const Segment& value) {
  vmcs_.Write(SegmentField(VmcsField::kGuestEsSelector, segment),
              value.selector);
  vmcs_.Write(SegmentField(VmcsField::kGuestEsBase, segment), value.base);
  vmcs_.Write(SegmentField(VmcsField::kGuestEsLimit, segment), value.limit);
  vmcs_.Write(SegmentField(VmcsField::kGuestEsAccessRights, segment),
              value.access_rights);
}

}  // namespace worldswitch
