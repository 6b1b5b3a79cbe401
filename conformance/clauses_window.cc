// WIN.1 and WIN.2: being told when the guest can take an interrupt.

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kVector = 0x51;
// An engine may notice an open window late: once in a thousand instructions, if
// it emulates them, or when it leaves the guest for a reason of its own, such
// as the host's timer. So many exits of the guest may come before, each after a
// loop of so many turns.
constexpr std::uint32_t kMaxExitsBefore = 100;
constexpr std::uint32_t kTurnsOfRing0 = 3'000;
constexpr std::uint32_t kTurnsOfRing3 = 3'000'000;
constexpr std::uint32_t kExitsAfter = 8;

// Loads the guest and runs to its first A.
bool Start(ClauseRig& rig, ClauseGuest guest, bool interrupts_on) {
  if (!rig.Load(guest, {.interrupts_on = interrupts_on})) return false;
  rig.SetHandler(kVector, guest);
  rig.Write32(WS_CLAUSE_WORD,
              rig.mode() == GuestMode::kRing3 ? kTurnsOfRing3 : kTurnsOfRing0);
  Exit exit;
  return rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit);
}

bool RunToAny(ClauseRig& rig, std::uint16_t port) {
  Exit exit;
  return rig.RunToAnyOut(port, &exit);
}

// Runs to the window, through OUTs of the guest. False: it does not come, or
// something else does, which *last is then.
bool FindWindow(ClauseRig& rig, Exit* last) {
  for (std::uint32_t i = 0; i < kMaxExitsBefore; ++i) {
    *last = rig.Run();
    if (last->reason == ExitReason::kIrqWindow) return true;
    if (last->reason != ExitReason::kIo &&
        last->reason != ExitReason::kInterrupted) {
      return false;
    }
    if (rig.hung()) return false;
  }
  return false;
}

bool RunToWindow(ClauseRig& rig) {
  Exit exit;
  return FindWindow(rig, &exit) || rig.ExpectExit(exit, ExitReason::kIrqWindow);
}

// Exits in which no window opens.
bool RunWithoutWindow(ClauseRig& rig) {
  for (std::uint32_t i = 0; i < kExitsAfter; ++i) {
    Exit exit;
    if (!rig.RunTo(ExitReason::kIo, &exit)) return false;
  }
  return true;
}

// At a window exit: it is open, and an interrupt goes through it.
bool CheckUsable(ClauseRig& rig) {
  return rig.Expect(rig.vcpu().interrupt_allowed(),
                    "interrupt_allowed at a window exit") &&
         rig.ExpectInject("inject_irq at a window exit", InjectResult::kOk,
                          rig.vcpu().inject_irq(kVector)) &&
         RunToAny(rig, WS_CLAUSE_PORT_HANDLER);
}

}  // namespace

void CheckWindowOpens(ClauseRig& rig) {
  if (!Start(rig, ClauseGuest::k_window_opens, /*interrupts_on=*/false)) return;
  rig.vcpu().request_irq_window(true);
  // B lies before the STI.
  if (!RunToAny(rig, WS_CLAUSE_PORT_B) || !RunToWindow(rig)) return;
  CheckUsable(rig);
}

void CheckWindowIsOpen(ClauseRig& rig) {
  if (!Start(rig, ClauseGuest::k_window_is_open, /*interrupts_on=*/true)) {
    return;
  }
  rig.vcpu().request_irq_window(true);
  if (!RunToWindow(rig)) return;
  CheckUsable(rig);
}

// That there is a window to spend is what WIN.1 is about.
void CheckWindowSpent(ClauseRig& rig) {
  if (!Start(rig, ClauseGuest::k_window_is_open, /*interrupts_on=*/true)) {
    return;
  }
  rig.vcpu().request_irq_window(true);
  Exit exit;
  if (!FindWindow(rig, &exit)) {
    rig.Skip("no window to be had: WIN.1 does not hold");
    return;
  }
  RunWithoutWindow(rig);
}

void CheckWindowWithdrawn(ClauseRig& rig) {
  if (!Start(rig, ClauseGuest::k_window_is_open, /*interrupts_on=*/true)) {
    return;
  }
  rig.vcpu().request_irq_window(true);
  rig.vcpu().request_irq_window(false);
  RunWithoutWindow(rig);
}

}  // namespace worldswitch
