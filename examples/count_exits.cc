// Embedding in 30 lines: run a guest, serve its exits, count them.

#include <iostream>

#include "backends/kvm/kvm_backend.h"
#include "core/host/backend.h"
#include "core/vcpu_loop.h"
#include "guests/guests.h"

namespace ws = worldswitch;

// Lets the guest write to one port a thousand times, then ends the loop.
class Counter final : public ws::ExitHandler {
 public:
  ws::LoopAction HandleExit(ws::Exit& exit) override {
    if (exit.reason != ws::ExitReason::kIo) return ws::LoopAction::kReturn;
    return ++outs_ < 1000 ? ws::LoopAction::kResume : ws::LoopAction::kReturn;
  }
  int outs() const { return outs_; }

 private:
  int outs_ = 0;
};

int main() {
  ws::BackendRegistry registry;
  if (!registry.Add(ws::KvmBackendFactory()).ok()) return 1;
  auto opened = registry.Open("auto");
  if (!opened.ok()) return std::cerr << opened.status() << "\n", 3;
  auto vm = opened->backend->CreateVm({});
  if (!vm.ok()) return std::cerr << vm.status() << "\n", 1;
  const unsigned char code[] = {0xe6, 0x80, 0xeb,
                                0xfc};  // out 0x80,al; jmp $-2
  if (ws::LoadCode(**vm, 0, ws::GuestMode::kReal, code, sizeof(code)) !=
      ws::Result::kOk) {
    return 1;
  }
  ws::VcpuContext context;
  Counter counter;
  const ws::Exit last = ws::vcpu_enter_guest<ws::VcpuOps, ws::ExitHandler>(
      (*vm)->vcpu(0), context, counter);
  std::cout << counter.outs() << " exits on " << opened->backend->engine()
            << ", the last one: " << ws::ExitReasonName(last.reason) << "\n";
  return counter.outs() == 1000 ? 0 : 1;
}
