// KICK.1 to KICK.4: making a vCPU leave the guest.
//
// These look at every single exit, so they use ClauseRig::Run and not RunTo,
// which passes over a kInterrupted of the host's making.

#include <atomic>

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

// A signal of the host may add a kInterrupted to those that kicks cause.
constexpr std::uint32_t kSignalsOfTheHost = 2;
constexpr std::uint32_t kManyKicks = 100;

bool RunToInterrupted(ClauseRig& rig, const char* what, std::uint32_t counted) {
  const Exit exit = rig.Run();
  return rig.Expect(exit.reason == ExitReason::kInterrupted, what) &&
         rig.Expect(!rig.hung(), "a kick that works without the host's help") &&
         rig.ExpectEqual("how far the guest counted", counted,
                         rig.Read32(WS_CLAUSE_WORD));
}

// Two threads: one kicks, and waits each time for the other one to be kicked.
struct KickRace {
  ClauseHost* host = nullptr;
  KickHandle handle;
  std::uint32_t kicks = 0;
  std::atomic<std::uint32_t> begun = 0;     // kicks whose Kick() was called,
  std::atomic<std::uint32_t> done = 0;      // has returned,
  std::atomic<std::uint32_t> answered = 0;  // was answered by kInterrupted
  std::atomic<bool> over = false;

  static void Kick(void* argument) {
    auto& race = *static_cast<KickRace*>(argument);
    for (std::uint32_t i = 1; i <= race.kicks && !race.over.load(); ++i) {
      race.begun.store(i);
      race.handle.Kick();
      race.done.store(i);
      while (race.answered.load() < i && !race.over.load()) race.host->Yield();
    }
  }
};

// Runs until every kick is answered. A run that begins when a kick is done and
// not answered has to answer it.
void RunRace(ClauseRig& rig, KickRace& race) {
  constexpr std::uint32_t kMaxRuns = 5'000'000;
  for (std::uint32_t runs = 0; runs < kMaxRuns; ++runs) {
    const std::uint32_t done = race.done.load();
    const Exit exit = rig.Run();
    if (exit.reason == ExitReason::kInterrupted) {
      race.answered.store(race.begun.load());
    } else if (done > race.answered.load()) {
      rig.Fail(TextLine()
                   .Append("kick ")
                   .AppendDecimal(done)
                   .Append(" was made before a run, and the run returned ")
                   .Append(ExitReasonName(exit.reason)));
      return;
    } else if (!rig.ExpectExit(exit, ExitReason::kIo)) {
      return;
    }
    if (race.answered.load() == race.kicks) return;
  }
  rig.Fail(TextLine().Append("a kick had no effect for millions of runs"));
}

// Kicks once the guest has shown, by counting, that it runs.
struct KickWhileCounting {
  ClauseRig* rig = nullptr;
  KickHandle handle;
  std::uint32_t from = 0;  // where the guest's counter was before
  std::atomic<bool> over = false;

  static void Kick(void* argument) {
    auto& kicker = *static_cast<KickWhileCounting*>(argument);
    constexpr std::uint32_t kProgress = 50;
    while (!kicker.over.load()) {
      if (kicker.rig->Read32(WS_CLAUSE_WORD) - kicker.from >= kProgress) {
        kicker.handle.Kick();
        return;
      }
      kicker.rig->host().Yield();
    }
  }
};

struct KickMany {
  KickHandle handle;
  std::atomic<bool> begun = false;
  std::atomic<bool> over = false;

  // kManyKicks of them.
  static void Kick(void* argument) {
    const auto& many = *static_cast<KickMany*>(argument);
    for (std::uint32_t i = 0; i < kManyKicks; ++i) many.handle.Kick();
  }
  // For as long as it is not over, and a few more.
  static void KickOn(void* argument) {
    auto& many = *static_cast<KickMany*>(argument);
    while (!many.over.load()) {
      many.handle.Kick();
      many.begun.store(true);
    }
    Kick(argument);
  }
};

// kInterrupted once, give or take signals, and then the guest.
bool CheckAnsweredOnce(ClauseRig& rig, std::uint32_t next_count) {
  std::uint32_t interrupted = 0;
  Exit exit = rig.Run();
  while (exit.reason == ExitReason::kInterrupted &&
         interrupted <= kSignalsOfTheHost) {
    ++interrupted;
    exit = rig.Run();
  }
  if (!rig.Expect(interrupted != 0, "kInterrupted after many kicks") ||
      !rig.Expect(interrupted <= kSignalsOfTheHost + 1,
                  "one kInterrupted for many kicks") ||
      !rig.ExpectExit(exit, ExitReason::kIo)) {
    return false;
  }
  return rig.ExpectEqual("how far the guest counted", next_count,
                         rig.Read32(WS_CLAUSE_WORD));
}

}  // namespace

void CheckKickBeforeRun(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_count)) return;
  const KickHandle handle = rig.vcpu().kick_handle();
  if (!rig.Expect(static_cast<bool>(handle), "a handle that is not empty")) {
    return;
  }
  for (std::uint32_t counted = 0; counted < 3; ++counted) {
    handle.Kick();
    if (!RunToInterrupted(rig, "kInterrupted after a kick before run",
                          counted) ||
        !rig.RunToOut(WS_CLAUSE_PORT_A, counted + 1)) {
      return;
    }
  }
}

void CheckKickRace(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_count)) return;
  KickRace race;
  race.host = &rig.host();
  race.handle = rig.vcpu().kick_handle();
  race.kicks = 100;
  rig.host().StartThread(&KickRace::Kick, &race);
  RunRace(rig, race);
  race.over.store(true);
  rig.host().JoinThread();
}

void CheckKickDuringRun(ClauseRig& rig) {
  // Interrupts on, as in any guest that computes for long: Bochs 2.7 never lets
  // the host's interrupts end one that is entered with RFLAGS.IF clear.
  if (!rig.Load(ClauseGuest::k_spin, {.interrupts_on = true})) return;
  for (int round = 0; round < 5; ++round) {
    KickWhileCounting kicker;
    kicker.rig = &rig;
    kicker.handle = rig.vcpu().kick_handle();
    kicker.from = rig.Read32(WS_CLAUSE_WORD);
    rig.host().StartThread(&KickWhileCounting::Kick, &kicker);
    Exit exit = rig.Run();
    // A signal of the host came first.
    for (std::uint32_t i = 0; i < kSignalsOfTheHost && !rig.hung() &&
                              exit.reason == ExitReason::kInterrupted &&
                              rig.Read32(WS_CLAUSE_WORD) == kicker.from;
         ++i) {
      exit = rig.Run();
    }
    kicker.over.store(true);
    rig.host().JoinThread();
    if (!rig.ExpectExit(exit, ExitReason::kInterrupted) ||
        !rig.Expect(!rig.hung(), "a kick during run that ends it")) {
      return;
    }
  }
}

void CheckKicksCoalesce(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_count)) return;
  KickMany many;
  many.handle = rig.vcpu().kick_handle();
  KickMany::Kick(&many);
  if (!CheckAnsweredOnce(rig, 1)) return;
  KickMany::Kick(&many);
  if (!CheckAnsweredOnce(rig, 2)) return;
  if (!rig.host().has_threads()) return;
  rig.host().StartThread(&KickMany::Kick, &many);
  rig.host().JoinThread();
  CheckAnsweredOnce(rig, 3);
}

void CheckHandleOutlives(ClauseRig& rig) {
  constexpr std::uint32_t kRounds = 20;
  const KickHandle handle = rig.vcpu().kick_handle();
  rig.DestroyVm();
  handle.Kick();
  if (!rig.MakeVm(1) || !rig.Load(ClauseGuest::k_count)) return;
  // Memory and descriptors of the old vCPU may well be the new one's.
  // The copy is the point.
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
  const KickHandle copy = handle;
  std::uint32_t interrupted = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    handle.Kick();
    copy.Kick();
    const Exit exit = rig.Run();
    if (exit.reason == ExitReason::kInterrupted) {
      ++interrupted;
    } else if (!rig.ExpectExit(exit, ExitReason::kIo)) {
      return;
    }
  }
  rig.Expect(interrupted <= kSignalsOfTheHost,
             "a handle of a vCPU that is gone kicks nobody");
}

// The proof is that nothing breaks; sanitizers see more of it.
void CheckHandleRace(ClauseRig& rig) {
  for (int round = 0; round < 5; ++round) {
    KickMany many;
    many.handle = rig.vcpu().kick_handle();
    rig.host().StartThread(&KickMany::KickOn, &many);
    while (!many.begun.load()) rig.host().Yield();
    rig.DestroyVm();
    many.over.store(true);
    rig.host().JoinThread();
    if (!rig.MakeVm(1)) return;
  }
}

}  // namespace worldswitch
