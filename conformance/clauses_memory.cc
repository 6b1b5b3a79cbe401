// MEM.1, MEM.2 and SMP.1: memory that host, guest and other vCPUs share.

#include <atomic>

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kRounds = 4;

std::uint32_t NumberOf(std::uint32_t round) {
  return 0xa1b2c3d4 ^ 0x01111111 * round;
}

bool RunToA(ClauseRig& rig, std::uint32_t number) {
  rig.Write32(WS_CLAUSE_WORD, number);
  return rig.RunToOut(WS_CLAUSE_PORT_A, number);
}

bool RunToB(ClauseRig& rig) {
  Exit exit;
  return rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit);
}

}  // namespace

void CheckHostWrites(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_echo_memory)) return;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    if (!RunToA(rig, NumberOf(round)) || !RunToB(rig)) return;
  }
}

// The number is the last part of the MOV in front of the mark.
void CheckHostWritesCode(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_echo_memory)) return;
  const std::uint64_t immediate =
      rig.AddressOf(ClauseGuest::k_echo_memory, GuestPlace::kMark) - 4;
  Exit exit;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    WriteData(rig.Bytes(immediate, 4), NumberOf(round), 4);
    if (!rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) ||
        !rig.RunToOut(WS_CLAUSE_PORT_B, NumberOf(round))) {
      return;
    }
  }
}

void CheckGuestWrites(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_echo_memory)) return;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const std::uint32_t number = NumberOf(round);
    if (!RunToA(rig, number) || !RunToB(rig) ||
        !rig.ExpectEqual("what the guest wrote", ~number,
                         rig.Read32(WS_CLAUSE_WORD_2))) {
      return;
    }
    for (std::uint32_t i = 0; i < WS_CLAUSE_FILLED_BYTES; ++i) {
      if (!rig.ExpectEqual("a byte that the guest filled", Low(~number, 1),
                           ReadData(rig.Bytes(WS_CLAUSE_FILLED + i, 1), 1))) {
        return;
      }
    }
  }
}

// Neither vCPU can finish while the other one stands still.
void CheckSideBySide(ClauseRig& rig) {
  constexpr std::uint32_t kMeetings = 50;
  constexpr std::uint64_t kWords[2] = {WS_CLAUSE_WORD, WS_CLAUSE_WORD_2};
  for (std::uint32_t i = 0; i < 2; ++i) {
    // Interrupts on: where the two share one CPU, one waits for the other until
    // the host takes the CPU away, and Bochs 2.7 lets it only then.
    if (!rig.Load(ClauseGuest::k_rendezvous, {.interrupts_on = true,
                                              .vcpu_index = i,
                                              .rcx = kMeetings,
                                              .rsi = kWords[i],
                                              .rdi = kWords[1 - i]})) {
      return;
    }
  }
  struct Second {
    ClauseRig* rig;
    Exit exit;
  } second = {&rig, {}};
  rig.host().StartThread(
      [](void* argument) {
        auto* other = static_cast<Second*>(argument);
        other->exit = other->rig->Run(1);
      },
      &second);
  const Exit first = rig.Run(0);
  rig.host().JoinThread();
  if (!rig.Expect(!rig.hung(0) && !rig.hung(1), "vCPUs that meet in memory") ||
      !rig.ExpectExit(first, ExitReason::kIo) ||
      !rig.ExpectExit(second.exit, ExitReason::kIo)) {
    return;
  }
  for (const std::uint64_t word : kWords) {
    if (!rig.ExpectEqual("meetings", kMeetings, rig.Read32(word))) return;
  }
}

}  // namespace worldswitch
