#include "bench/peer_scenarios.h"

#include <sched.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/exit_text.h"
#include "bench/kicker.h"
#include "bench/tsc.h"
#include "core/features/irqchip.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

// How long a waiting guest is left alone, so that it has settled (and sleeps,
// if it does): some 150 us.
constexpr std::uint64_t kSettleTicks = 400000;
constexpr std::chrono::seconds kPatience(2);

// A word of the mailbox, which the guest writes while we look.
std::atomic_ref<std::uint32_t> MailboxWord(Vm& vm, std::uint64_t gpa) {
  std::byte* const at = vm.memory().At(gpa, sizeof(std::uint32_t));
  return std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t*>(at));
}

class VcpuPeer final : public ScenarioPeer {
 public:
  VcpuPeer(Vm& vm, const Scenario& scenario, GuestMode mode,
           const std::atomic<bool>& stop)
      : vm_(vm) {
    auto* const irqchip = FeatureOf<Irqchip>(vm);
    if (irqchip == nullptr ||
        irqchip->set_mp_state(1, MpState::kRunnable) != Result::kOk) {
      why_ = "the engine does not let vCPU 1 start";
      return;
    }
    // vCPU 0's arguments lie in the same mailbox.
    const GuestSetup setup = {
        .payload = scenario.peer_payload,
        .mode = mode,
        .interrupts_on = true,
        .arguments = {scenario.arguments[0], scenario.arguments[1]}};
    if (LoadGuest(vm, 1, setup) != Result::kOk) {
      why_ = absl::StrCat("the engine refuses vCPU 1's registers: ",
                          ErrnoName(vm.vcpu(1).last_error()));
      return;
    }
    thread_ = std::thread([this] { Run(); });
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (MailboxWord(vm, WS_MAILBOX_READY).load() == 0) {
      if (stop.load() || finished_.load() ||
          std::chrono::steady_clock::now() > deadline) {
        End();
        why_ = failed_ ? absl::StrCat("vCPU 1: ", DescribeExit(last_))
                       : "vCPU 1 does not start";
        return;
      }
      sched_yield();
    }
  }
  ~VcpuPeer() override { End(); }

 private:
  void Run() {
    LeaveCallersCpu();
    VcpuOps& vcpu = vm_.vcpu(1);
    while (!ending_.load()) {
      const Exit exit = vcpu.run();
      if (BackendResumes(vcpu, exit) ||
          exit.reason == ExitReason::kInterrupted) {
        continue;
      }
      // It never exits by itself, so this is trouble; vCPU 0 will wait for it
      // in vain, and the watchdog says so.
      last_ = exit;
      failed_ = true;
      break;
    }
    finished_.store(true);
  }

  void End() {
    ending_.store(true);
    vm_.vcpu(1).kick_handle().Kick();
    if (thread_.joinable()) thread_.join();
  }

  Vm& vm_;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> finished_ = false;
  bool failed_ = false;  // and last_: the thread's, until it is joined
  Exit last_;
  std::thread thread_;
};

class IrqPeer final : public ScenarioPeer {
 public:
  IrqPeer(Vm& vm, const Scenario& scenario)
      : vm_(vm), scenario_(scenario), thread_([this] { Run(); }) {}
  ~IrqPeer() override {
    ending_.store(true);
    thread_.join();
  }

 private:
  void Run() {
    LeaveCallersCpu();
    auto ready = MailboxWord(vm_, WS_MAILBOX_READY);
    auto sample = MailboxWord(vm_, WS_MAILBOX_SAMPLE);
    while (!ending_.load(std::memory_order_relaxed)) {
      if (ready.exchange(0, std::memory_order_acq_rel) == 0) {
        sched_yield();
        continue;
      }
      const std::uint64_t start = ReadTsc();
      while (ReadTsc() - start < kSettleTicks) {
      }
      // The guest's own first stamp makes way for ours.
      std::byte* const at = vm_.memory().At(sample.load(), sizeof(start));
      if (at == nullptr) return;
      std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).store(ReadTsc());
      if (!scenario_.peer_raise(vm_)) return;  // and the watchdog says so
    }
  }

  Vm& vm_;
  const Scenario& scenario_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<ScenarioPeer> StartPeer(Vm& vm, const Scenario& scenario,
                                        GuestMode mode,
                                        const std::atomic<bool>& stop) {
  switch (scenario.kind) {
    case ScenarioKind::kPeerVcpu:
      return std::make_unique<VcpuPeer>(vm, scenario, mode, stop);
    case ScenarioKind::kPeerIrq:
      return std::make_unique<IrqPeer>(vm, scenario);
    default:
      return nullptr;
  }
}

}  // namespace worldswitch
