// The same work three ways: a guest that does OUT for ever, and the bare loop
// of bench/bare_loop.h, the virtual loop, or the final one around it. Each Loop
// is a VM of its own on /dev/kvm.
//
// For the programs and tests that compare the loops; it wires backends/kvm and
// the guests together, so no library stands on it.

#ifndef WORLDSWITCH_BENCH_LOOPS_H_
#define WORLDSWITCH_BENCH_LOOPS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/kvm_backend.h"
#include "guests/guests.h"

namespace worldswitch {

enum class LoopKind : std::uint8_t {
  kBare,     // ioctl(KVM_RUN) in plain C
  kVirtual,  // vcpu_enter_guest over VcpuOps& and ExitHandler&
  kFinal,    // vcpu_enter_guest over KvmVcpu and a final handler
};
const char* LoopKindName(LoopKind kind);  // "bare", "virtual", "final"

class Loop {
 public:
  virtual ~Loop() = default;
  // Takes exactly stamps.size() exits (1 or more) and notes the TSC at each, in
  // its handler. False: an exit that is not the guest's OUT, or a failed
  // KVM_RUN; then failure() has it. Allocates nothing unless it fails.
  virtual bool Run(std::span<std::uint64_t> stamps) = 0;
  const std::string& failure() const { return failure_; }
  // For a comparison of the vCPUs' states.
  virtual int vcpu_fd() const = 0;

 protected:
  std::string failure_;
};

// mode: kReal or kRing0. backend must outlive the loop.
absl::StatusOr<std::unique_ptr<Loop>> MakeLoop(KvmBackend& backend,
                                               LoopKind kind, GuestMode mode);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_LOOPS_H_
