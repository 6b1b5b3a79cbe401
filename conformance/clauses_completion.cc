// CMP.1 to CMP.3: how an exit that waits for the caller's data is completed.

#include "conformance/clause_checks.h"
#include "core/features/msr_exits.h"

namespace worldswitch {
namespace {

// What the guest has in the bytes of EAX that a short read leaves alone.
constexpr std::uint32_t kBefore = 0x5a5a5a5a;
constexpr std::uint32_t kSizes[] = {1, 2, 4};

// EAX after a read of `bytes` bytes into its low end.
constexpr std::uint32_t Merged(std::uint32_t value, std::uint32_t bytes) {
  const auto low = static_cast<std::uint32_t>(Low(value, bytes));
  return low | static_cast<std::uint32_t>(kBefore - Low(kBefore, bytes));
}

// At the exit of a read, with its data given: the registers are those behind
// it, and stay so; then the guest goes on.
bool CheckBehindRead(ClauseRig& rig, ClauseGuest guest, std::uint64_t rax) {
  return rig.Fetch(kGeneralRegisters) &&
         rig.ExpectEqual("RIP behind the instruction",
                         rig.AddressOf(guest, GuestPlace::kMark),
                         rig.general().rip) &&
         rig.ExpectEqual("RAX behind the instruction", rax,
                         rig.general().rax) &&
         rig.RunToOut(WS_CLAUSE_PORT_B, static_cast<std::uint32_t>(rax));
}

constexpr std::uint64_t kMsrValue = 0x0123456789abcdef;

// Runs to the exit of RDMSR and gives it its value. False: settled.
bool RunToRdmsr(ClauseRig& rig) {
  // A backend without the feature may hand them out all the same.
  auto* const msrs = FeatureOf<MsrExits>(rig.vm());
  if (msrs != nullptr) {
    const Result asked = msrs->exit_on(kMsrUnknown);
    if (asked == Result::kUnsupported) {
      return rig.Skip("the engine hands no MSR accesses to the caller");
    }
    if (!rig.ExpectResult("exit_on(kMsrUnknown)", Result::kOk, asked)) {
      return false;
    }
  }
  if (!rig.Load(ClauseGuest::k_echo_msr)) return false;
  const Exit exit = rig.Run();
  const bool is_ours =
      exit.reason == ExitReason::kIo && exit.io.port == WS_CLAUSE_PORT_B;
  const bool is_fault =
      exit.reason == ExitReason::kIo && exit.io.port == WS_PORT_FAULT;
  if (msrs == nullptr && (is_ours || is_fault)) {
    return rig.Skip(
        "this backend does not hand RDMSR of an unknown MSR to the caller");
  }
  if (!rig.ExpectExit(exit, ExitReason::kRdmsr) ||
      !rig.ExpectEqual("the MSR's index", WS_CLAUSE_MSR, exit.msr.index)) {
    return false;
  }
  *exit.msr.data = kMsrValue;
  *exit.msr.inject_gp = 0;
  return true;
}

}  // namespace

void CheckInReachesGuest(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_echo_io)) return;
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (const std::uint32_t size : kSizes) {
      const std::uint32_t value = 0x81726354 + 0x11111111 * round + size;
      if (!rig.RunToIn(WS_CLAUSE_PORT_A, value) ||
          !rig.RunToOut(WS_CLAUSE_PORT_B, Merged(value, size))) {
        return;
      }
    }
  }
}

void CheckMmioReadReachesGuest(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_echo_mmio)) return;
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (const std::uint32_t size : kSizes) {
      const std::uint32_t value = 0x91827364 + 0x11111111 * round + size;
      if (!rig.RunToMmioRead(WS_MMIO_HOLE, size, value) ||
          !rig.RunToOut(WS_CLAUSE_PORT_B, Merged(value, size))) {
        return;
      }
    }
  }
}

void CheckRdmsrReachesGuest(ClauseRig& rig) {
  if (!RunToRdmsr(rig) ||
      !rig.RunToOut(WS_CLAUSE_PORT_B, static_cast<std::uint32_t>(kMsrValue))) {
    return;
  }
  rig.RunToOut(WS_CLAUSE_PORT_B, static_cast<std::uint32_t>(kMsrValue >> 32));
}

void CheckRegistersAfterIn(ClauseRig& rig) {
  constexpr std::uint32_t kValue = 0xc3;
  if (!rig.Load(ClauseGuest::k_echo_io) ||
      !rig.RunToIn(WS_CLAUSE_PORT_A, kValue)) {
    return;
  }
  CheckBehindRead(rig, ClauseGuest::k_echo_io, Merged(kValue, 1));
}

void CheckRegistersAfterMmioRead(ClauseRig& rig) {
  constexpr std::uint32_t kValue = 0xa7;
  if (!rig.Load(ClauseGuest::k_echo_mmio) ||
      !rig.RunToMmioRead(WS_MMIO_HOLE, 1, kValue)) {
    return;
  }
  CheckBehindRead(rig, ClauseGuest::k_echo_mmio, Merged(kValue, 1));
}

void CheckRegistersAfterRdmsr(ClauseRig& rig) {
  if (!RunToRdmsr(rig)) return;
  CheckBehindRead(rig, ClauseGuest::k_echo_msr,
                  static_cast<std::uint32_t>(kMsrValue));
}

// Every kind of exit that is completed, one after the other; registers are read
// at each of them. Within the read-modify-write there is no state to be had:
// there the fetch may be refused, and must do no harm.
void CheckCompletedOnce(ClauseRig& rig) {
  constexpr std::uint32_t kExitsPerRound = 5;
  if (!rig.Load(ClauseGuest::k_ledger)) return;
  VcpuOps& vcpu = rig.vcpu();
  const auto read_registers = [&vcpu] {
    vcpu.fetch_registers(kAllRegisters);
    vcpu.fetch_registers(kGeneralRegisters);
  };
  for (std::uint32_t round = 1; round <= 3; ++round) {
    const std::uint32_t value = 0x20 + round;
    if (!rig.RunToIn(WS_CLAUSE_PORT_A, value)) return;
    read_registers();
    if (!rig.RunToOut(WS_CLAUSE_PORT_A, value)) return;
    read_registers();
    if (!rig.RunToMmioRead(WS_MMIO_HOLE, 1, value + 1)) return;
    read_registers();
    if (!rig.RunToMmioWrite(WS_MMIO_HOLE + 4, 1, value + 1)) return;
    read_registers();
    if (!rig.RunToMmioRead(WS_MMIO_HOLE + 8, 4, value + 2)) return;
    read_registers();
    if (!rig.RunToMmioWrite(WS_MMIO_HOLE + 8, 4, value + 2 + 0x10)) return;
    read_registers();
    if (!rig.RunToOut(WS_CLAUSE_PORT_B, kExitsPerRound * round)) return;
    read_registers();
  }
}

}  // namespace worldswitch
