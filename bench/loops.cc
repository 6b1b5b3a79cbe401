#include "bench/loops.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/bare_loop.h"
#include "bench/exit_text.h"
#include "bench/tsc.h"
#include "core/host/errno_status.h"
#include "core/vcpu_loop.h"

namespace worldswitch {
namespace {

// next: out %al, $WS_PORT_TEST; jmp next. The same bytes in either mode.
constexpr std::uint8_t kGuest[] = {0xe6, WS_PORT_TEST, 0xeb, 0xfc};

// All that the guest needs lies below this.
constexpr std::uint64_t kImageBytes = WS_PAGE_DIRECTORY + 4096;

// The same work as handle_io of bare_loop.c.
class StampingHandler final : public ExitHandler {
 public:
  LoopAction HandleExit(Exit& exit) override {
    if (exit.reason != ExitReason::kIo || exit.io.port != WS_PORT_TEST) {
      return LoopAction::kReturn;
    }
    stamps_[seen_] = ReadTsc();
    return ++seen_ == wanted_ ? LoopAction::kReturn : LoopAction::kResume;
  }
  void Begin(std::span<std::uint64_t> stamps) {
    stamps_ = stamps.data();
    wanted_ = stamps.size();
    seen_ = 0;
  }
  bool done() const { return seen_ == wanted_; }

 private:
  std::uint64_t* stamps_ = nullptr;
  std::uint64_t wanted_ = 0;
  std::uint64_t seen_ = 0;
};

class OwnLoop : public Loop {
 public:
  explicit OwnLoop(std::unique_ptr<KvmVm> vm) : vm_(std::move(vm)) {}

  bool Run(std::span<std::uint64_t> stamps) final {
    handler_.Begin(stamps);
    const Exit exit = Enter(vm_->kvm_vcpu(0), context_, handler_);
    if (handler_.done()) return true;
    failure_ = DescribeExit(exit, *vm_);
    return false;
  }
  int vcpu_fd() const final { return vm_->kvm_vcpu(0).fd(); }

 private:
  virtual Exit Enter(KvmVcpu& vcpu, VcpuContext& context,
                     StampingHandler& handler) = 0;

  std::unique_ptr<KvmVm> vm_;
  VcpuContext context_;
  StampingHandler handler_;
};

class VirtualLoop final : public OwnLoop {
 public:
  using OwnLoop::OwnLoop;

 private:
  Exit Enter(KvmVcpu& vcpu, VcpuContext& context,
             StampingHandler& handler) override {
    return vcpu_enter_guest<VcpuOps, ExitHandler>(vcpu, context, handler);
  }
};

class FinalLoop final : public OwnLoop {
 public:
  using OwnLoop::OwnLoop;

 private:
  Exit Enter(KvmVcpu& vcpu, VcpuContext& context,
             StampingHandler& handler) override {
    return vcpu_enter_guest(vcpu, context, handler);
  }
};

class BareLoop final : public Loop {
 public:
  BareLoop() = default;
  ~BareLoop() override {
    ws_bare_vm_destroy(vm_);
    ws_bare_system_close(system_);
  }

  // Starts with the memory and at the place of `like`.
  absl::Status Start(KvmVm& like, GuestMode mode) {
    system_ = ws_bare_system_open();
    if (system_ == nullptr) return ErrnoStatus(errno, "opening /dev/kvm");
    vm_ = ws_bare_vm_create(system_, WS_MEMORY_BYTES);
    if (vm_ == nullptr) return ErrnoStatus(errno, "making a VM in C");
    std::memcpy(ws_bare_vm_memory(vm_), like.memory().host, kImageBytes);
    VcpuOps& vcpu = like.vcpu(0);
    if (vcpu.fetch_registers(kGeneralRegisters) != Result::kOk) {
      return ErrnoStatus(vcpu.last_error(), "reading registers");
    }
    const GeneralRegisters& general = vcpu.registers().general;
    if (ws_bare_vm_start(vm_,
                         mode == GuestMode::kReal ? kWsBareReal : kWsBareRing0,
                         general.rip, general.rsp) != 0) {
      return ErrnoStatus(errno, "setting registers in C");
    }
    return absl::OkStatus();
  }

  bool Run(std::span<std::uint64_t> stamps) override {
    WsBareBlock block = {
        .wanted = stamps.size(), .seen = 0, .stamps = stamps.data()};
    if (ws_bare_run(vm_, &block) == 0) return true;
    failure_ = ErrnoName(errno);
    return false;
  }
  int vcpu_fd() const override { return ws_bare_vm_vcpu_fd(vm_); }

 private:
  WsBareSystem* system_ = nullptr;
  WsBareVm* vm_ = nullptr;
};

}  // namespace

const char* LoopKindName(LoopKind kind) {
  switch (kind) {
    case LoopKind::kBare:
      return "bare";
    case LoopKind::kVirtual:
      return "virtual";
    case LoopKind::kFinal:
      return "final";
  }
  return "(no such loop)";
}

absl::StatusOr<std::unique_ptr<Loop>> MakeLoop(KvmBackend& backend,
                                               LoopKind kind, GuestMode mode) {
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend.CreateKvmVm(config);
  if (!vm.ok()) return vm.status();
  if (LoadCode(**vm, 0, mode, kGuest, sizeof(kGuest)) != Result::kOk) {
    return ErrnoStatus(
        (*vm)->vcpu(0).last_error(),
        absl::StrCat("loading a guest in mode ", GuestModeName(mode)));
  }
  switch (kind) {
    case LoopKind::kBare: {
      auto loop = std::make_unique<BareLoop>();
      absl::Status started = loop->Start(**vm, mode);
      if (!started.ok()) return started;
      return loop;
    }
    case LoopKind::kVirtual:
      return std::make_unique<VirtualLoop>(*std::move(vm));
    case LoopKind::kFinal:
      return std::make_unique<FinalLoop>(*std::move(vm));
  }
  return absl::InvalidArgumentError("no such loop");
}

}  // namespace worldswitch
