// Other vCPUs of a VM that exit all the time, each on a thread of its own that
// is pinned to a CPU of its own: what kParallel scenarios and the scaling
// benchmarks measure beside.

#ifndef WORLDSWITCH_BENCH_PARALLEL_VCPUS_H_
#define WORLDSWITCH_BENCH_PARALLEL_VCPUS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/peer_scenarios.h"
#include "core/host/backend.h"

namespace worldswitch {

// One vCPU whose guest is LoadOneOutGuest's, on a thread.
class ExitingVcpu {
 public:
  // Starts at once. cpu: to pin the thread to; negative: anywhere. vm must
  // outlive it.
  ExitingVcpu(Vm& vm, std::uint32_t index, int cpu);
  // Kicks the vCPU out and waits for the thread.
  ~ExitingVcpu();
  ExitingVcpu(const ExitingVcpu&) = delete;
  ExitingVcpu& operator=(const ExitingVcpu&) = delete;

  // Its OUTs so far. Any thread.
  std::uint64_t exits() const { return exits_.load(std::memory_order_relaxed); }
  // It met something else than its OUT and does not run any more; what it was.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  const std::string& failure() const { return failure_; }

 private:
  void Run(int cpu);

  Vm& vm_;
  const std::uint32_t index_;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> failed_ = false;
  // On a line of its own: it is written at every exit.
  alignas(64) std::atomic<std::uint64_t> exits_ = 0;
  alignas(64) std::string failure_;  // written before failed_
  std::thread thread_;
};

// How many vCPUs a kParallel scenario takes where the program may use `cpus`
// CPUs; 0: it cannot be done there, and *why says why.
std::uint32_t ParallelVcpus(const Scenario& scenario, std::size_t cpus,
                            std::string* why);

// The peers of a kParallel scenario: vCPU 1 and up of the VM, on the CPUs that
// are not vCPU 0's. Waits until each has exited once. cpus: those that the
// program may use.
std::unique_ptr<ScenarioPeer> StartParallelPeers(
    Vm& vm, GuestMode mode, std::uint32_t cpu,
    const std::vector<std::uint32_t>& cpus, const std::atomic<bool>& stop);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_PARALLEL_VCPUS_H_
