#include "backends/svm_amd/native/svm_state.h"

#include "backends/svm_amd/native/svm_segments.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint16_t kRealData = 0x93;
constexpr std::uint16_t kRealCode = 0x9B;
constexpr std::uint16_t kResetLdt = 0x82;
constexpr std::uint16_t kResetTss = 0x8B;
constexpr std::uint64_t kResetCs = 0xFFFF0000;
constexpr std::uint64_t kResetRip = 0xFFF0;

}  // namespace

void ResetSvmState(Vmcb& vmcb) {
  VmcbSave& save = vmcb.save;
  save = {};
  const VmcbSegment data = {
      .selector = 0, .attributes = kRealData, .limit = 0xFFFF, .base = 0};
  save.es = save.ss = save.ds = save.fs = save.gs = data;
  save.cs = {.selector = 0xF000,
             .attributes = kRealCode,
             .limit = 0xFFFF,
             .base = kResetCs};
  save.gdtr.limit = save.idtr.limit = 0xFFFF;
  save.ldtr = {
      .selector = 0, .attributes = kResetLdt, .limit = 0xFFFF, .base = 0};
  save.tr = {
      .selector = 0, .attributes = kResetTss, .limit = 0xFFFF, .base = 0};
  save.efer = kEferSvme;
  save.cr0 = kCr0Et;
  save.dr6 = kDr6Reset;
  save.dr7 = kDr7Reset;
  save.rflags = kRflagsFixed;
  save.rip = kResetRip;
  save.g_pat = kPatReset;
  vmcb.control.interrupt_shadow = 0;
  vmcb.control.event_injection = 0;
  vmcb.control.virtual_interrupt &= ~SvmVirtualInterrupt::kTprMask;
}

void SpecialFromVmcb(const Vmcb& vmcb, SpecialRegisters& special) {
  const VmcbSave& save = vmcb.save;
  special.cs = FromVmcb(save.cs);
  special.ds = FromVmcb(save.ds);
  special.es = FromVmcb(save.es);
  special.fs = FromVmcb(save.fs);
  special.gs = FromVmcb(save.gs);
  special.ss = FromVmcb(save.ss);
  special.tr = FromVmcb(save.tr);
  special.ldtr = FromVmcb(save.ldtr);
  special.gdtr = TableFromVmcb(save.gdtr);
  special.idtr = TableFromVmcb(save.idtr);
  special.cr0 = save.cr0;
  special.cr2 = save.cr2;
  special.cr3 = save.cr3;
  special.cr4 = save.cr4;
  special.cr8 =
      vmcb.control.virtual_interrupt & SvmVirtualInterrupt::kTprMask;
  // SVME is the host's.
  special.efer = save.efer & ~kEferSvme;
}

void SpecialToVmcb(const SpecialRegisters& special, Vmcb& vmcb) {
  VmcbSave& save = vmcb.save;
  save.cs = ToVmcb(special.cs);
  save.ds = ToVmcb(special.ds);
  save.es = ToVmcb(special.es);
  save.fs = ToVmcb(special.fs);
  save.gs = ToVmcb(special.gs);
  save.ss = ToVmcb(special.ss);
  save.tr = ToVmcb(special.tr);
  save.ldtr = ToVmcb(special.ldtr);
  save.gdtr = ToVmcb(special.gdtr);
  save.idtr = ToVmcb(special.idtr);
  // The VMCB keeps the CPL apart; elsewhere it is the DPL of SS.
  save.cpl = (special.cr0 & kCr0Pe) == 0
                 ? 0
                 : static_cast<std::uint8_t>(save.ss.attributes >> 5 & 3);
  save.cr0 = special.cr0 | kCr0Et;
  save.cr2 = special.cr2;
  save.cr3 = special.cr3;
  save.cr4 = special.cr4;
  std::uint32_t& virtual_interrupt = vmcb.control.virtual_interrupt;
  virtual_interrupt =
      (virtual_interrupt & ~SvmVirtualInterrupt::kTprMask) |
      (static_cast<std::uint32_t>(special.cr8) & SvmVirtualInterrupt::kTprMask);
  save.efer = special.efer | kEferSvme;
}

bool IsPossibleState(const SpecialRegisters& special) {
  return (special.cr0 & kCr0Pg) == 0 || (special.cr0 & kCr0Pe) != 0;
}

}  // namespace worldswitch::svm
