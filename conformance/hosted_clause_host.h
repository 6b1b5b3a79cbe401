// The clauses' world on an ordinary operating system: VMs of a backend, threads
// of the C++ library, and a watchdog that kicks a vCPU which does not come
// back.

#ifndef WORLDSWITCH_CONFORMANCE_HOSTED_CLAUSE_HOST_H_
#define WORLDSWITCH_CONFORMANCE_HOSTED_CLAUSE_HOST_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "conformance/clauses.h"
#include "core/host/backend.h"
#include "core/kick.h"

namespace worldswitch {

// Kicks whatever runs for longer than `patience`, ten times a second.
class RunWatch {
 public:
  explicit RunWatch(std::chrono::milliseconds patience);
  ~RunWatch();
  RunWatch(const RunWatch&) = delete;
  RunWatch& operator=(const RunWatch&) = delete;

  // Around a run; any thread, each with vCPUs of its own.
  void Begin(VcpuOps* vcpu, KickHandle handle);
  // True: it had to be kicked.
  bool End(VcpuOps* vcpu);

 private:
  struct Run {
    KickHandle handle;
    std::chrono::steady_clock::time_point until;
    bool kicked = false;
  };
  void Guard();

  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<VcpuOps*, Run> runs_;
  bool over_ = false;
  std::thread thread_;
};

class HostedClauseHost final : public ClauseHost {
 public:
  // A VM whose vCPU exits in a way nobody knows, or why there is none.
  using MakeUnknownExit =
      std::function<absl::StatusOr<std::unique_ptr<Vm>>(std::uint64_t raw)>;

  // backend outlives the host. knobs: of every VM.
  explicit HostedClauseHost(Backend& backend, KnobSettings knobs = {},
                            MakeUnknownExit unknown_exit = nullptr);
  ~HostedClauseHost();

  VmOps* MakeVm(const VmNeeds& needs, const char** why) override;
  VmOps* MakeVmOfUnknownExit(std::uint64_t raw, const char** why) override;
  void DestroyVm(VmOps* vm) override;
  void BeginRun(VmOps* vm, std::uint32_t vcpu_index) override;
  bool EndRun(VmOps* vm, std::uint32_t vcpu_index) override;
  bool has_threads() const override { return true; }
  void StartThread(void (*function)(void*), void* argument) override;
  void JoinThread() override { thread_.join(); }
  void Yield() override { std::this_thread::yield(); }

 private:
  VmOps* Take(absl::StatusOr<std::unique_ptr<Vm>> vm, const char** why);

  Backend& backend_;
  const KnobSettings knobs_;
  const MakeUnknownExit unknown_exit_;
  RunWatch watch_;
  std::map<VmOps*, std::unique_ptr<Vm>> vms_;
  std::string why_;
  std::thread thread_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_HOSTED_CLAUSE_HOST_H_
