#include "bench/host_steps.h"

#include <sched.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "bench/exit_text.h"
#include "bench/one_out_guest.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

bool MoveTo(std::uint32_t cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  return sched_setaffinity(0, sizeof(only), &only) == 0 &&
         sched_getcpu() == static_cast<int>(cpu);
}

class CpuStep final : public ScenarioStep {
 public:
  CpuStep(std::uint32_t cpu, const std::vector<std::uint32_t>& cpus)
      : home_(cpu), at_(cpu) {
    for (const std::uint32_t other : cpus) {
      if (other != cpu) away_ = other;
    }
    if (away_ == home_) {
      why_ = absl::StrCat("only CPU ", cpu, " may be used here");
    }
  }
  ~CpuStep() override { MoveTo(home_); }

  bool Take() override {
    // Whoever is not where it was sent cannot be sent away from there.
    const bool stayed = sched_getcpu() == static_cast<int>(at_);
    at_ = at_ == home_ ? away_ : home_;
    ++moves_;
    if (stayed && MoveTo(at_)) return true;
    why_ = absl::StrCat("the thread cannot be moved to CPU ", at_);
    return false;
  }
  std::string evidence() const override {
    return absl::StrCat("the thread moved ", moves_, " times between CPU ",
                        home_, " and ", away_);
  }

 private:
  const std::uint32_t home_;
  std::uint32_t away_ = home_;
  std::uint32_t at_;
  std::uint64_t moves_ = 0;
};

class OtherVmStep final : public ScenarioStep {
 public:
  OtherVmStep(Vm& vm, GuestMode mode) : vcpu_(vm.vcpu(0)) {
    if (LoadOneOutGuest(vm, 0, mode) != Result::kOk) {
      why_ = absl::StrCat("the engine refuses the other VM's registers: ",
                          ErrnoName(vcpu_.last_error()));
    }
  }

  bool Take() override {
    Exit exit = vcpu_.run();
    // A signal of the host, or the watchdog's bark, is not the guest's doing.
    if (exit.reason == ExitReason::kInterrupted) exit = vcpu_.run();
    if (!IsOneOut(exit)) {
      why_ = absl::StrCat("the other VM: ", DescribeExit(exit));
      return false;
    }
    ++exits_;
    return true;
  }
  std::string evidence() const override {
    return absl::StrCat("the other VM's OUT was returned ", exits_, " times");
  }

 private:
  VcpuOps& vcpu_;
  std::uint64_t exits_ = 0;
};

}  // namespace

std::unique_ptr<ScenarioStep> MakeScenarioStep(
    const Scenario& scenario, GuestMode mode, std::uint32_t cpu,
    const std::vector<std::uint32_t>& cpus, Vm* other) {
  switch (scenario.host_step) {
    case HostStep::kNone:
      return nullptr;
    case HostStep::kMoveToAnotherCpu:
      return std::make_unique<CpuStep>(cpu, cpus);
    case HostStep::kRunAnotherVm:
      return std::make_unique<OtherVmStep>(*other, mode);
  }
  return nullptr;
}

}  // namespace worldswitch
