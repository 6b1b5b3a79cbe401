#include "bench/parallel_vcpus.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/exit_text.h"
#include "bench/one_out_guest.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

constexpr std::chrono::seconds kPatience(2);

class ParallelPeers final : public ScenarioPeer {
 public:
  ParallelPeers(Vm& vm, GuestMode mode, std::uint32_t cpu,
                const std::vector<std::uint32_t>& cpus,
                const std::atomic<bool>& stop) {
    // Before any of them runs: loading writes the memory that they share.
    for (std::uint32_t i = 1; i < vm.vcpu_count(); ++i) {
      if (LoadOneOutGuest(vm, i, mode) != Result::kOk) {
        why_ = absl::StrCat("the engine refuses the registers of vCPU ", i,
                            ": ", ErrnoName(vm.vcpu(i).last_error()));
        return;
      }
    }
    std::uint32_t index = 1;
    for (const std::uint32_t other : cpus) {
      if (other == cpu || index >= vm.vcpu_count()) continue;
      vcpus_.push_back(
          std::make_unique<ExitingVcpu>(vm, index++, static_cast<int>(other)));
    }
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (const auto& vcpu : vcpus_) {
      while (vcpu->exits() == 0 && !vcpu->failed()) {
        if (stop.load() || std::chrono::steady_clock::now() > deadline) {
          why_ = "another vCPU does not start";
          return;
        }
        sched_yield();
      }
      if (vcpu->failed()) why_ = vcpu->failure();
    }
    Begin();
  }

  void Begin() override {
    begun_.clear();
    for (const auto& vcpu : vcpus_) begun_.push_back(vcpu->exits());
  }
  std::string Finish(std::string* evidence) override {
    std::uint64_t fewest = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < vcpus_.size(); ++i) {
      if (vcpus_[i]->failed()) return vcpus_[i]->failure();
      const std::uint64_t exits = vcpus_[i]->exits() - begun_[i];
      fewest = std::min(fewest, exits);
      all += exits;
    }
    *evidence = absl::StrCat(vcpus_.size(), " other vCPUs exited ", all,
                             " times meanwhile, each of them ", fewest,
                             " times or more");
    return fewest > 0 ? "" : "another vCPU did not exit meanwhile";
  }

 private:
  std::vector<std::unique_ptr<ExitingVcpu>> vcpus_;
  std::vector<std::uint64_t> begun_;
};

}  // namespace

ExitingVcpu::ExitingVcpu(Vm& vm, std::uint32_t index, int cpu)
    : vm_(vm), index_(index), thread_([this, cpu] { Run(cpu); }) {}

ExitingVcpu::~ExitingVcpu() {
  ending_.store(true, std::memory_order_release);
  vm_.vcpu(index_).kick_handle().Kick();
  thread_.join();
}

void ExitingVcpu::Run(int cpu) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  if (cpu >= 0) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<std::size_t>(cpu), &only);
    if (sched_setaffinity(0, sizeof(only), &only) != 0) {
      failure_ = absl::StrCat("vCPU ", index_, " cannot be put on CPU ", cpu);
      failed_.store(true, std::memory_order_release);
      return;
    }
  }
  VcpuOps& vcpu = vm_.vcpu(index_);
  std::uint64_t exits = 0;
  while (!ending_.load(std::memory_order_acquire)) {
    const Exit exit = vcpu.run();
    if (IsOneOut(exit)) {
      exits_.store(++exits, std::memory_order_relaxed);
      continue;
    }
    if (BackendResumes(vcpu, exit) || exit.reason == ExitReason::kInterrupted) {
      continue;
    }
    failure_ = absl::StrCat("vCPU ", index_, ": ", DescribeExit(exit));
    failed_.store(true, std::memory_order_release);
    return;
  }
}

std::uint32_t ParallelVcpus(const Scenario& scenario, std::size_t cpus,
                            std::string* why) {
  constexpr std::size_t kPair = 2;
  if (cpus < kPair) {
    *why = "only one CPU may be used here";
    return 0;
  }
  if (scenario.parallel != 0) return scenario.parallel;
  if (cpus == kPair) {
    *why = "with 2 CPUs this is vcpu/parallel_2";
    return 0;
  }
  return static_cast<std::uint32_t>(cpus);
}

std::unique_ptr<ScenarioPeer> StartParallelPeers(
    Vm& vm, GuestMode mode, std::uint32_t cpu,
    const std::vector<std::uint32_t>& cpus, const std::atomic<bool>& stop) {
  return std::make_unique<ParallelPeers>(vm, mode, cpu, cpus, stop);
}

}  // namespace worldswitch
