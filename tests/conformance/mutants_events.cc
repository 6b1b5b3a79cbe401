// Mutants of INJ.* and WIN.*: events and the window for them.

#include <cstdint>
#include <utility>

#include "tests/conformance/mutants.h"

namespace worldswitch {
namespace {

// An interrupt goes in with the entry after the next one.
class InjectsLate final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_irq(std::uint8_t vector) override {
    if (!inner().interrupt_allowed()) return inner().inject_irq(vector);
    waiting_ = vector;
    return InjectResult::kOk;
  }
  Exit run() override {
    const Exit exit = inner().run();
    if (waiting_ != 0) inner().inject_irq(std::exchange(waiting_, 0));
    return exit;
  }

 private:
  std::uint8_t waiting_ = 0;
};

// Says kOk where the right answer is kAnswer, and drops the event.
template <InjectResult kAnswer>
class AcceptsAndDrops final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_irq(std::uint8_t vector) override {
    const InjectResult result = inner().inject_irq(vector);
    return result == kAnswer ? InjectResult::kOk : result;
  }
};

class DeliversWhatWasBlocked final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_irq(std::uint8_t vector) override {
    const InjectResult result = inner().inject_irq(vector);
    if (result == InjectResult::kBlocked) waiting_ = vector;
    return result;
  }
  Exit run() override {
    if (waiting_ != 0 && inner().interrupt_allowed()) {
      inner().inject_irq(std::exchange(waiting_, 0));
    }
    return inner().run();
  }

 private:
  std::uint8_t waiting_ = 0;
};

class NeverCancels final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  bool cancel_injection(Event* /*event*/) override { return false; }
};

class CancelsAndDelivers final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_irq(std::uint8_t vector) override {
    const InjectResult result = inner().inject_irq(vector);
    if (result == InjectResult::kOk) vector_ = vector;
    return result;
  }
  bool cancel_injection(Event* event) override {
    if (!inner().cancel_injection(event)) return false;
    if (event->kind == EventKind::kIrq) again_ = vector_;
    return true;
  }
  Exit run() override {
    if (again_ != 0) inner().inject_irq(std::exchange(again_, 0));
    return inner().run();
  }

 private:
  std::uint8_t vector_ = 0;
  std::uint8_t again_ = 0;
};

class HoldsNmiBack final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_nmi() override {
    const OptionalValue flag = inner().exit_detail(ExitDetail::kInterruptFlag);
    return flag.known && flag.value == 0 ? InjectResult::kBlocked
                                         : inner().inject_nmi();
  }
};

class LosesErrorCode final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  InjectResult inject_exception(const Event& event) override {
    Event changed = event;
    changed.error_code = 0;
    return inner().inject_exception(changed);
  }
};

// ---- WIN --------------------------------------------------------------------

class NeverOpensWindow final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  void request_irq_window(bool /*wanted*/) override {}
};

class OpensWindowAtOnce final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  void request_irq_window(bool wanted) override { wanted_ = wanted; }
  Exit run() override {
    return std::exchange(wanted_, false) ? MakeExit(ExitReason::kIrqWindow)
                                         : inner().run();
  }

 private:
  bool wanted_ = false;
};

class NeverSpendsWindow final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const Exit exit = inner().run();
    if (exit.reason == ExitReason::kIrqWindow) inner().request_irq_window(true);
    return exit;
  }
};

class IgnoresWithdrawal final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  void request_irq_window(bool wanted) override {
    if (wanted) inner().request_irq_window(true);
  }
};

}  // namespace

std::vector<Mutant> EventMutants() {
  return {
      {"InjectsLate",
       Of<InjectsLate>,
       {"INJ.1"},
       {"INJ.2", "INJ.3", "INJ.4", "INJ.7", "WIN.1"}},
      {"DropsWhatIsBlocked",
       Of<AcceptsAndDrops<InjectResult::kBlocked>>,
       {"INJ.2"}},
      {"DeliversWhatWasBlocked", Of<DeliversWhatWasBlocked>, {"INJ.2"}},
      {"DropsTheSecond", Of<AcceptsAndDrops<InjectResult::kBusy>>, {"INJ.3"}},
      {"NeverCancels", Of<NeverCancels>, {"INJ.4"}},
      {"CancelsAndDelivers", Of<CancelsAndDelivers>, {"INJ.4"}},
      {"HoldsNmiBack", Of<HoldsNmiBack>, {"INJ.5"}},
      {"LosesErrorCode", Of<LosesErrorCode>, {"INJ.6"}},
      {"DropsTheInvalid",
       Of<AcceptsAndDrops<InjectResult::kInvalid>>,
       {"INJ.7"}},
      {"NeverOpensWindow", Of<NeverOpensWindow>, {"WIN.1"}},
      {"OpensWindowAtOnce", Of<OpensWindowAtOnce>, {"WIN.1"}},
      {"NeverSpendsWindow", Of<NeverSpendsWindow>, {"WIN.2"}},
      {"IgnoresWithdrawal", Of<IgnoresWithdrawal>, {"WIN.2"}},
  };
}

}  // namespace worldswitch
