// REG.1 to REG.5: how registers travel.

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kRegisterCount = 16;
constexpr std::uint32_t kRegistersOfRealMode = 8;
constexpr std::uint32_t kRsp = 4;
constexpr std::uint64_t kCarryFlag = 1;
constexpr std::uint64_t kCr0Pe = 1;
constexpr std::uint64_t kCr0Pg = 1u << 31;
constexpr std::uint64_t kEferLma = 1u << 10;

// In ModRM order (SDM 2A, table 2-2).
constexpr std::uint64_t GeneralRegisters::*kRegisters[kRegisterCount] = {
    &GeneralRegisters::rax, &GeneralRegisters::rcx, &GeneralRegisters::rdx,
    &GeneralRegisters::rbx, &GeneralRegisters::rsp, &GeneralRegisters::rbp,
    &GeneralRegisters::rsi, &GeneralRegisters::rdi, &GeneralRegisters::r8,
    &GeneralRegisters::r9,  &GeneralRegisters::r10, &GeneralRegisters::r11,
    &GeneralRegisters::r12, &GeneralRegisters::r13, &GeneralRegisters::r14,
    &GeneralRegisters::r15};
constexpr const char* kNames[kRegisterCount] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

std::uint32_t CountOf(const ClauseRig& rig) {
  return rig.is_long() ? kRegisterCount : kRegistersOfRealMode;
}

// A value that a register of the mode can hold, told from every other one's.
std::uint64_t Pattern(const ClauseRig& rig, std::uint32_t number) {
  const std::uint64_t low = WS_CLAUSE_PATTERN + number;
  const std::uint64_t high = WS_CLAUSE_PATTERN_HIGH + number;
  return rig.is_long() ? high << 32 | low : low;
}

// FS leads to `base`, where a number tells that it does.
void PointFs(ClauseRig& rig, std::uint64_t base, std::uint32_t number) {
  rig.Write32(base, number);
  rig.special().fs.base = base;
  if (!rig.is_long()) {
    rig.special().fs.selector = static_cast<std::uint16_t>(base >> 4);
  }
}

}  // namespace

// In the middle of a guest's life, not only where it begins.
void CheckCommitted(ClauseRig& rig) {
  constexpr std::uint32_t kNumber = 0x70717273;
  Exit exit;
  if (!rig.Load(ClauseGuest::k_store_registers) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) || !rig.Fetch(kAllRegisters)) {
    return;
  }
  PointFs(rig, WS_CLAUSE_SEGMENT, kNumber);
  rig.file().dirty |= kSpecialRegisters;
  if (!rig.ExpectResult("committing special registers", Result::kOk,
                        rig.vcpu().commit_registers()) ||
      !rig.Fetch(kGeneralRegisters)) {
    return;
  }
  for (std::uint32_t i = 0; i < CountOf(rig); ++i) {
    if (i != kRsp) rig.general().*kRegisters[i] = Pattern(rig, i);
  }
  const std::uint64_t rsp = rig.general().rsp - 0x10;
  rig.general().rsp = rsp;
  rig.file().dirty |= kGeneralRegisters;
  if (!rig.ExpectResult("committing general registers", Result::kOk,
                        rig.vcpu().commit_registers()) ||
      !rig.ExpectEqual("dirty after a commit", 0, rig.file().dirty) ||
      !rig.RunToOut(WS_CLAUSE_PORT_B, kNumber)) {
    return;
  }
  for (std::uint32_t i = 0; i < CountOf(rig); ++i) {
    if (!rig.ExpectEqual(kNames[i], i == kRsp ? rsp : Pattern(rig, i),
                         rig.Read64(WS_CLAUSE_REGISTERS + i * 8))) {
      return;
    }
  }
}

void CheckFetched(ClauseRig& rig) {
  constexpr std::uint64_t kSelectorOfMode[] = {WS_CLAUSE_SEGMENT >> 4, 0x10,
                                               0x18 | 3};
  const std::uint64_t selector =
      kSelectorOfMode[static_cast<std::size_t>(rig.mode())];
  if (!rig.Load(ClauseGuest::k_load_registers, {.rax = selector}) ||
      !rig.Fetch(kAllRegisters)) {
    return;
  }
  const std::uint64_t rsp_before = rig.general().rsp;
  const SpecialRegisters special_before = rig.special();
  Exit exit;
  if (!rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) || !rig.Fetch(kAllRegisters)) {
    return;
  }
  const GeneralRegisters& general = rig.general();
  const std::uint64_t rsp = rsp_before - (rig.is_long() ? 8 : 2);
  for (std::uint32_t i = 0; i < CountOf(rig); ++i) {
    if (!rig.ExpectEqual(kNames[i], i == kRsp ? rsp : Pattern(rig, i),
                         general.*kRegisters[i])) {
      return;
    }
  }
  const SpecialRegisters& special = rig.special();
  if (!rig.ExpectEqual(
          "RIP",
          rig.AddressOf(ClauseGuest::k_load_registers, GuestPlace::kMark),
          general.rip) ||
      !rig.ExpectEqual("RFLAGS.CF", kCarryFlag, general.rflags & kCarryFlag) ||
      !rig.ExpectEqual("the selector of FS", selector, special.fs.selector) ||
      !rig.ExpectEqual("the base of FS", rig.is_long() ? 0 : WS_CLAUSE_SEGMENT,
                       special.fs.base)) {
    return;
  }
  // What the guest left alone is as it was.
  if (!rig.ExpectEqual("CR3", special_before.cr3, special.cr3) ||
      !rig.ExpectEqual("CR0.PE and CR0.PG",
                       special_before.cr0 & (kCr0Pe | kCr0Pg),
                       special.cr0 & (kCr0Pe | kCr0Pg)) ||
      !rig.ExpectEqual("EFER.LMA", special_before.efer & kEferLma,
                       special.efer & kEferLma) ||
      !rig.ExpectEqual("the selector of CS", special_before.cs.selector,
                       special.cs.selector) ||
      !rig.ExpectEqual("the base of SS", special_before.ss.base,
                       special.ss.base)) {
    return;
  }
  rig.ExpectEqual("the base of the IDT", special_before.idtr.base,
                  special.idtr.base);
}

void CheckDirtyWithoutCommit(ClauseRig& rig) {
  Exit exit;
  if (!rig.Load(ClauseGuest::k_echo_registers) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit)) {
    return;
  }
  for (std::uint32_t round = 0; round < 3; ++round) {
    const std::uint32_t number = 0x31323334 + 0x01010101 * round;
    if (!rig.Fetch(kGeneralRegisters)) return;
    rig.general().rbx = number;
    rig.file().dirty |= kGeneralRegisters;
    if (!rig.RunToOut(WS_CLAUSE_PORT_A, number)) return;
    if (!rig.Fetch(kSpecialRegisters)) return;
    PointFs(rig, round % 2 == 0 ? WS_CLAUSE_SEGMENT : WS_CLAUSE_SEGMENT_2,
            number + 1);
    rig.file().dirty |= kSpecialRegisters;
    if (!rig.RunToOut(WS_CLAUSE_PORT_B, number + 1)) return;
    // Both at once, and nothing is dirty behind a run.
    if (!rig.Fetch(kAllRegisters)) return;
    rig.general().rbx = number + 2;
    PointFs(rig, WS_CLAUSE_SEGMENT, number + 3);
    rig.file().dirty = kAllRegisters;
    if (!rig.RunToOut(WS_CLAUSE_PORT_A, number + 2) ||
        !rig.ExpectEqual("dirty behind a run", 0, rig.file().dirty) ||
        !rig.RunToOut(WS_CLAUSE_PORT_B, number + 3)) {
      return;
    }
  }
}

// Two exits that are not I/O: one that nothing was executed before, and HLT.
// That they come at all is what KICK.1 and RUN.4 are about.
void CheckWanted(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_halt)) return;
  rig.file().wanted = kAllRegisters;
  rig.vcpu().kick_handle().Kick();
  Exit exit = rig.Run();
  if (exit.reason != ExitReason::kInterrupted) {
    rig.Skip("no exit but I/O to be had: KICK.1 does not hold");
    return;
  }
  if (!rig.ExpectEqual("cached after kInterrupted", kAllRegisters,
                       rig.file().cached) ||
      !rig.ExpectEqual("RIP before the first instruction",
                       rig.AddressOf(ClauseGuest::k_halt, GuestPlace::kStart),
                       rig.general().rip)) {
    return;
  }
  if (rig.mode() == GuestMode::kRing3) return;  // HLT is for CPL 0
  for (const RegisterSet wanted :
       {kAllRegisters, kGeneralRegisters, kSpecialRegisters}) {
    rig.file().wanted = wanted;
    // A mark of our own, which a group that is not filled keeps.
    rig.general().rip = 0;
    rig.special().idtr.base = 1;
    exit = rig.Run();
    if (exit.reason != ExitReason::kHlt) {
      rig.Skip("no exit but I/O to be had: RUN.4 does not hold");
      return;
    }
    if (!rig.ExpectEqual("cached after HLT", wanted,
                         rig.file().cached & wanted)) {
      return;
    }
    if ((wanted & kGeneralRegisters) != 0 &&
        !rig.ExpectEqual("RIP behind HLT",
                         rig.AddressOf(ClauseGuest::k_halt, GuestPlace::kMark),
                         rig.general().rip)) {
      return;
    }
    if ((wanted & kSpecialRegisters) != 0 &&
        !rig.ExpectEqual("the base of the IDT", rig.is_long() ? WS_IDT : 0,
                         rig.special().idtr.base)) {
      return;
    }
    if (!rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit)) return;
  }
}

// Paging without protection is in no mode of the processor (SDM 3A, 2.5).
void CheckRefusedCommit(ClauseRig& rig) {
  constexpr std::uint32_t kAfter = 0xbadbad;
  Exit exit;
  if (!rig.Load(ClauseGuest::k_echo_registers) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit) || !rig.Fetch(kAllRegisters)) {
    return;
  }
  const std::uint64_t before = rig.general().rbx;
  rig.special().cr0 = kCr0Pg;
  rig.general().rbx = kAfter;
  rig.file().dirty = kAllRegisters;
  const Result result = rig.vcpu().commit_registers();
  if (result == Result::kOk && rig.Run().reason == ExitReason::kEntryFailure) {
    rig.Skip("this engine checks registers at the entry only");
    return;
  }
  if (!rig.ExpectResult("committing CR0.PG without CR0.PE", Result::kError,
                        result) ||
      !rig.Expect(rig.vcpu().last_error() != 0,
                  "an errno for the refused commit") ||
      !rig.RunToOut(WS_CLAUSE_PORT_A, static_cast<std::uint32_t>(before)) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit) || !rig.Fetch(kAllRegisters)) {
    return;
  }
  rig.ExpectEqual("RBX after a refused commit", before, rig.general().rbx);
}

}  // namespace worldswitch
