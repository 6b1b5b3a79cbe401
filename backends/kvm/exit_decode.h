// Turns what KVM left in a kvm_run page into an Exit.
//
// The three exits that a running guest takes all the time (I/O, MMIO, HLT) are
// decoded inline; the others out of line. Needs no /dev/kvm: any kvm_run page
// will do, made up ones included.

#ifndef WORLDSWITCH_BACKENDS_KVM_EXIT_DECODE_H_
#define WORLDSWITCH_BACKENDS_KVM_EXIT_DECODE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/kvm/kvm_header.h"
#include "core/exit.h"

namespace worldswitch {

// "KVM_EXIT_IO" for 2; "KVM_EXIT_<unknown>" for a code nobody here knows.
const char* KvmExitName(std::uint64_t code);

// True if KVM holds back the end of the instruction until the next KVM_RUN: the
// state of the vCPU is not yet that after the instruction. A code younger than
// this program counts as such, since completing what is complete does no harm.
bool IsCompletedByNextRun(std::uint32_t exit_reason);

// Any exit but I/O, MMIO and HLT, from a KVM_RUN that returned 0.
// KVM_EXIT_UNKNOWN carries the hardware's own reason in
// entry_failure.hardware_reason, beside its raw code.
Exit DecodeRareExit(kvm_run& run);

// Whether the guest locked the bus (a split lock) before this exit, which need
// not be KVM_EXIT_X86_BUS_LOCK: where another one came first, only the flag
// tells. Of a KVM_RUN that returned 0; KVM_CAP_X86_BUS_LOCK_EXIT asks for it.
inline bool SawBusLock(const kvm_run& run) {
  return (run.flags & KVM_RUN_X86_BUS_LOCK) != 0;
}

// What a KVM_RUN that failed with `error_number` means: EINTR is kInterrupted,
// EAGAIN kRetry, EFAULT and EHWPOISON with a filled-in memory fault
// kMemoryFault, the rest kError.
Exit DecodeFailedRun(const kvm_run& run, int error_number);

// Initialized in one go: what is not named costs no instruction.
inline Exit DecodeIoExit(kvm_run& run) {
  static_assert(KVM_EXIT_IO_IN == 0 && KVM_EXIT_IO_OUT == 1);
  static_assert(offsetof(IoExit, size) == 1 && offsetof(IoExit, port) == 2 &&
                offsetof(IoExit, count) == 4 && offsetof(IoExit, data) == 8);
  Exit exit;
  exit.reason = ExitReason::kIo;
  exit.raw = KVM_EXIT_IO;
  std::memcpy(&exit.io, &run.io, offsetof(IoExit, data));
  exit.io.data = reinterpret_cast<std::byte*>(&run) + run.io.data_offset;
  return exit;
}

inline Exit DecodeMmioExit(kvm_run& run) {
  return Exit{.reason = ExitReason::kMmio,
              .raw = KVM_EXIT_MMIO,
              .mmio = {.gpa = run.mmio.phys_addr,
                       .data = run.mmio.data,
                       .length = run.mmio.len,
                       .is_write = run.mmio.is_write != 0}};
}

// The exit of a KVM_RUN that returned 0. Borrows from `run`.
inline Exit DecodeExit(kvm_run& run) {
  if (run.exit_reason == KVM_EXIT_IO) [[likely]]
    return DecodeIoExit(run);
  if (run.exit_reason == KVM_EXIT_MMIO) return DecodeMmioExit(run);
  if (run.exit_reason == KVM_EXIT_HLT) {
    return MakeExit(ExitReason::kHlt, KVM_EXIT_HLT);
  }
  return DecodeRareExit(run);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_EXIT_DECODE_H_
