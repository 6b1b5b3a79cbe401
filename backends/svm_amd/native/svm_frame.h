// What the way into the guest and out of it touches, in one piece, so that one
// register leads to all of it: `run` keeps that across the switch, and nothing
// else.
//
// Ring 0. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FRAME_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FRAME_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/svm_amd/native/svm_entry_work.h"
#include "backends/svm_amd/native/svm_kick.h"
#include "backends/svm_amd/native/svm_switch_layout.h"
#include "backends/svm_amd/native/vmcb.h"
#include "backends/svm_amd/svm_exit_code.h"
#include "core/exit.h"
#include "core/registers.h"

namespace worldswitch::svm {

struct SvmFrame {
  static constexpr std::uint8_t kVmmcallBytes = 3;
  static constexpr std::uint8_t kCpuidBytes = 2;

  // First, and vmcb_pa next: the switch takes the frame for the registers.
  RegisterFile registers = {};
  std::uint64_t vmcb_pa = 0;
  EntryWork work;
  SvmKickTarget* kick = nullptr;
  bool has_nrip = false;
  std::uint64_t exit_rip = 0;  // of the instruction that exited
  // Where one without prefixes was found; at first nowhere.
  std::uint64_t plain_rip = std::uint64_t{1} << 63;
  // Exits that `run` decodes by itself.
  std::uint64_t hypercalls = 0;
  std::uint64_t cpuids = 0;
  alignas(kPageBytes) Vmcb vmcb = {};

  // Something to do before the next entry or behind the exit that follows;
  // groups of registers that have to go in, or out each time.
  [[gnu::always_inline]] bool has_work() const {
    std::uint64_t both = 0;
    static_assert(sizeof(both) == sizeof(work));
    __builtin_memcpy(&both, &work, sizeof(both));
    return both != 0 ||
           registers.InUse(RegisterFile::kWanted | RegisterFile::kDirty);
  }

  // RIP behind the instruction, whose interrupt shadow ends with it.
  [[gnu::always_inline]] void SkipTo(std::uint64_t rip) {
    exit_rip = vmcb.save.rip;
    vmcb.save.rip = rip;
    vmcb.control.interrupt_shadow = 0;
  }
  // length: used without NRIPS only.
  [[gnu::always_inline]] void Skip(std::uint8_t length) {
    SkipTo(has_nrip ? vmcb.control.next_rip
                    : vmcb.save.rip + std::uint64_t{length});
  }
  // The same without a look at the instruction. False, nothing done: it may
  // have prefixes, and was not looked at lately.
  [[gnu::always_inline]] bool SkipPlain(std::uint8_t length) {
    if (vmcb.save.rip == plain_rip) [[likely]] {
      SkipTo(vmcb.save.rip + std::uint64_t{length});
      return true;
    }
    if (!has_nrip) [[unlikely]]
      return false;
    SkipTo(vmcb.control.next_rip);
    return true;
  }

  [[gnu::always_inline]] Exit HypercallExitNow() {
    GeneralRegisters& general = registers.general;
    Exit exit;
    exit.reason = ExitReason::kHypercall;
    exit.raw = static_cast<std::uint64_t>(SvmExitCode::kVmmcall);
    exit.hypercall = {.number = general.rax,
                      .arguments = &general.rbx,
                      .result = &general.rax,
                      .argument_count = 4};
    return exit;
  }
  // RAX to RDX take the answer where they are.
  [[gnu::always_inline]] Exit CpuidExitNow() {
    GeneralRegisters& general = registers.general;
    Exit exit;
    exit.reason = ExitReason::kCpuid;
    exit.raw = static_cast<std::uint64_t>(SvmExitCode::kCpuid);
    exit.cpuid = {.leaf = static_cast<std::uint32_t>(general.rax),
                  .subleaf = static_cast<std::uint32_t>(general.rcx),
                  .result = &general.rax};
    return exit;
  }
};
static_assert(offsetof(SvmFrame, registers) == 0);
static_assert(offsetof(RegisterFile, general) == 0);
static_assert(offsetof(SvmFrame, vmcb_pa) == WS_SVM_VMCB_PA);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FRAME_H_
