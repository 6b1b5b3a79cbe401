// The loop on a final type, as ring 0 instantiates it: a vCPU and a handler
// that only count. It has to link with the contract floor and nothing else.

#include <cstdint>

#include "core/vcpu_loop.h"

namespace worldswitch {
namespace {

// Every entry ends in an I/O exit.
class CountingVcpu final : public VcpuOps {
 public:
  Exit run() override {
    ++entries;
    return MakeExit(ExitReason::kIo);
  }
  Disposition handle_exit(const Exit& /*exit*/) override {
    return Disposition::kToCaller;
  }
  bool interrupt_allowed() override { return true; }
  InjectResult inject_irq(std::uint8_t /*vector*/) override {
    ++injections;
    return InjectResult::kOk;
  }
  InjectResult inject_nmi() override { return InjectResult::kUnsupported; }
  InjectResult inject_exception(const Event& /*event*/) override {
    return InjectResult::kUnsupported;
  }
  void request_irq_window(bool /*wanted*/) override {}
  void request_nmi_window(bool /*wanted*/) override {}
  bool cancel_injection(Event* /*event*/) override { return false; }
  RegisterFile& registers() override { return registers_; }
  Result fetch_registers(RegisterSet /*groups*/) override {
    return Result::kOk;
  }
  Result commit_registers() override { return Result::kOk; }
  OptionalValue exit_detail(ExitDetail /*detail*/) override { return {}; }
  KickHandle kick_handle() override { return {}; }
  int last_error() const override { return 0; }

  std::uint64_t entries = 0;
  std::uint64_t injections = 0;

 private:
  RegisterFile registers_ = {};
};

class CountingHandler final : public ExitHandler {
 public:
  explicit CountingHandler(std::uint64_t limit) : left_(limit) {}
  LoopAction HandleExit(Exit& /*exit*/) override {
    return --left_ == 0 ? LoopAction::kReturn : LoopAction::kResume;
  }

 private:
  std::uint64_t left_;
};

}  // namespace

// External, so that the compiler has to keep it: `exits` turns of the loop.
std::uint64_t RunCountingLoop(std::uint64_t exits);

std::uint64_t RunCountingLoop(std::uint64_t exits) {
  CountingVcpu vcpu;
  CountingHandler handler(exits);
  VcpuContext context;
  context.PostIrq(32);
  vcpu_enter_guest(vcpu, context, handler);
  return vcpu.entries + vcpu.injections;
}

// The virtual loop on the same vCPU: the floor's own instance.
std::uint64_t RunCountingLoopVirtually(std::uint64_t exits);

std::uint64_t RunCountingLoopVirtually(std::uint64_t exits) {
  CountingVcpu vcpu;
  CountingHandler handler(exits);
  VcpuContext context;
  vcpu_enter_guest<VcpuOps, ExitHandler>(vcpu, context, handler);
  return vcpu.entries;
}

}  // namespace worldswitch
