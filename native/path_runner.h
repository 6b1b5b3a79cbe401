// `path`: what one turn of the loop costs by itself, from an exit to the next
// entry, with a handler that only answers: through VcpuOps and ExitHandler, and
// on the final types. Nothing is stamped in between; the guest stamps a batch
// with and without the instruction.
//
// In an emulator that counts instructions the figures are those of the host's
// path, and the instruction that exits counts one. Freestanding.

#ifndef WORLDSWITCH_NATIVE_PATH_RUNNER_H_
#define WORLDSWITCH_NATIVE_PATH_RUNNER_H_

#include "core/vcpu_loop.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

// Answers the exits of the path's guests.
class PathHandler final : public ExitHandler {
 public:
  LoopAction HandleExit(Exit& exit) override;
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
