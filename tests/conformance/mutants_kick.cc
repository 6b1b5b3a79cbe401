// Mutants of KICK.*: leaving the guest when told to.

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

#include "tests/conformance/mutants.h"

namespace worldswitch {
namespace {

Exit Interrupted() { return MakeExit(ExitReason::kInterrupted, 0, EINTR); }

// What stands behind the handles of these mutants: it outlives the vCPU.
class MutantTarget : public KickTarget {
 public:
  explicit MutantTarget(KickHandle right) : right_(std::move(right)) {}
  void Ref() override { users_.fetch_add(1); }
  void Unref() override {
    if (users_.fetch_sub(1) == 1) delete this;
  }
  void Kick() override { right_.Kick(); }

 protected:
  virtual ~MutantTarget() = default;
  KickHandle right_;

 private:
  std::atomic<int> users_ = 1;
};

// A mutant whose handles lead to a Target of its own.
template <typename Target>
class KickMutant : public ForwardingVcpu {
 public:
  explicit KickMutant(VcpuOps& right)
      : ForwardingVcpu(right), target_(new Target(right.kick_handle())) {}
  ~KickMutant() override { target_->Unref(); }
  KickHandle kick_handle() override {
    target_->Ref();
    return KickHandle(target_);
  }

 protected:
  Target& target() { return *target_; }

 private:
  Target* const target_;
};

// Kicks a vCPU that runs, and no other.
class OnlyRunningTarget final : public MutantTarget {
 public:
  using MutantTarget::MutantTarget;
  void Kick() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (running_) MutantTarget::Kick();
  }
  void SetRunning(bool running) {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_ = running;
  }

 private:
  std::mutex mutex_;
  bool running_ = false;
};
class LosesKickBeforeRun final : public KickMutant<OnlyRunningTarget> {
 public:
  using KickMutant::KickMutant;
  Exit run() override {
    target().SetRunning(true);
    const Exit exit = inner().run();
    target().SetRunning(false);
    return exit;
  }
};

// Kicks take effect at the next entry only.
class FlagTarget final : public MutantTarget {
 public:
  using MutantTarget::MutantTarget;
  void Kick() override { kicked_.store(true); }
  bool Take() { return kicked_.exchange(false); }

 private:
  std::atomic<bool> kicked_ = false;
};
class KicksAtEntryOnly final : public KickMutant<FlagTarget> {
 public:
  using KickMutant::KickMutant;
  Exit run() override {
    return target().Take() ? Interrupted() : inner().run();
  }
};

// Every kick is answered on its own.
class CountingTarget final : public MutantTarget {
 public:
  using MutantTarget::MutantTarget;
  void Kick() override {
    kicks_.fetch_add(1);
    MutantTarget::Kick();
  }
  // True: there is one to answer beside the one that the right vCPU answers.
  bool TakeOne() {
    int kicks = kicks_.load();
    while (kicks > 1) {
      if (kicks_.compare_exchange_weak(kicks, kicks - 1)) return true;
    }
    return false;
  }
  void TakeLast() { kicks_.store(0); }

 private:
  std::atomic<int> kicks_ = 0;
};
class CountsKicks final : public KickMutant<CountingTarget> {
 public:
  using KickMutant::KickMutant;
  Exit run() override {
    if (target().TakeOne()) return Interrupted();
    const Exit exit = inner().run();
    if (exit.reason == ExitReason::kInterrupted) target().TakeLast();
    return exit;
  }
};

// Kicks whichever vCPU was made last, as if it had taken the place of its own.
class NewestTarget final : public MutantTarget {
 public:
  explicit NewestTarget(KickHandle right) : MutantTarget(right) {
    const std::lock_guard<std::mutex> lock(mutex_);
    newest_ = std::move(right);
  }
  void Kick() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    newest_.Kick();
  }

 private:
  static inline std::mutex mutex_;
  static inline KickHandle newest_;
};
class KicksSuccessor final : public KickMutant<NewestTarget> {
 public:
  using KickMutant::KickMutant;
};

class MistakesKickForHlt final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const Exit exit = inner().run();
    return exit.reason == ExitReason::kInterrupted ? MakeExit(ExitReason::kHlt)
                                                   : exit;
  }
};

}  // namespace

std::vector<Mutant> KickMutants() {
  return {
      {"LosesKickBeforeRun", Of<LosesKickBeforeRun>, {"KICK.1", "KICK.3"}},
      {"KicksAtEntryOnly", Of<KicksAtEntryOnly>, {"KICK.2"}},
      {"MistakesKickForHlt",
       Of<MistakesKickForHlt>,
       {"KICK.1", "KICK.2", "KICK.3"}},
      {"CountsKicks", Of<CountsKicks>, {"KICK.3"}},
      {"KicksSuccessor", Of<KicksSuccessor>, {"KICK.4"}},
  };
}

}  // namespace worldswitch
