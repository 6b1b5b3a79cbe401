// `path`: what one turn of the loop costs by itself, from an exit to the next
// entry, with a handler that only answers: through VcpuOps and ExitHandler, and
// on the final types. Nothing is stamped in between; the guest stamps a batch
// with and without the instruction.
//
// In an emulator that counts instructions the figures are those of the host's
// path, and the instruction that exits counts one. Freestanding.

#ifndef WORLDSWITCH_NATIVE_PATH_RUNNER_H_
#define WORLDSWITCH_NATIVE_PATH_RUNNER_H_

#include <cstdint>

#include "core/vcpu_loop.h"
#include "guests/layout.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

// Answers the exits of the path's guests.
class PathHandler final : public ExitHandler {
 public:
  static constexpr std::uint64_t kHypercall = 1;  // the guests' number

  LoopAction HandleExit(Exit& exit) override {
    switch (exit.reason) {
      case ExitReason::kCpuid:
        if (exit.cpuid.result == nullptr) return LoopAction::kReturn;
        __builtin_memset(exit.cpuid.result, 0, 4 * sizeof(std::uint64_t));
        return LoopAction::kResume;
      case ExitReason::kHypercall:
        return exit.hypercall.number == kHypercall ? LoopAction::kResume
                                                   : LoopAction::kReturn;
      case ExitReason::kIo:
        if (exit.io.port == WS_PORT_TEST) return LoopAction::kResume;
        done_ = exit.io.port == WS_PORT_DONE;
        return LoopAction::kReturn;
      default:
        return LoopAction::kReturn;
    }
  }
  bool done() const { return done_; }

 private:
  bool done_ = false;
};

// vcpu_enter_guest on a vCPU.
using PathLoop = Exit (*)(VcpuOps& vcpu, VcpuContext& context,
                          PathHandler& handler);

// vcpu: a Type, which is final.
template <typename Type>
Exit PathOn(VcpuOps& vcpu, VcpuContext& context, PathHandler& handler) {
  return vcpu_enter_guest(static_cast<Type&>(vcpu), context, handler);
}

// Logs path.* facts; final_loop: null where nobody knows the final type.
void RunPath(VmMaker& maker, PathLoop final_loop);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_PATH_RUNNER_H_
