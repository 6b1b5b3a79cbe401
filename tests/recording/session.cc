#include "tests/recording/session.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/recording_exit.h"
#include "core/vcpu_loop.h"
#include "guests/guests.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kIrqVector = 0x40;
constexpr std::uint8_t kOtherVector = 0x41;
constexpr std::uint8_t kNmiVector = 2;
constexpr std::uint64_t kMmioBase = 0xd0000;

// 16-bit code, entered at its first byte.
constexpr std::uint8_t kCode[] = {
    0xb0, 0x41,              // mov al, 0x41
    0xe6, 0x80,              // out 0x80, al
    0xe4, 0x81,              // in al, 0x81
    0xe6, 0x82,              // out 0x82, al
    0xba, 0x83, 0x00,        // mov dx, 0x83
    0x66, 0xed,              // in eax, dx
    0x66, 0xef,              // out dx, eax
    0xb8, 0x00, 0xd0,        // mov ax, 0xd000
    0x8e, 0xc0,              // mov es, ax
    0x26, 0xa2, 0x10, 0x00,  // mov es:[0x10], al
    0x26, 0xa0, 0x11, 0x00,  // mov al, es:[0x11]
    0xe6, 0x84,              // out 0x84, al
    0xb9, 0x04, 0x00,        // mov cx, 4
    0xbe, 0x80, 0x10,        // mov si, WS_MAILBOX_STRING
    0xba, 0xe4, 0x00,        // mov dx, WS_PORT_STRING
    0xf3, 0x6e,              // rep outsb
    0xfb,                    // sti
    0xb9, 0x00, 0x40,        // mov cx, 0x4000
    0xe2, 0xfe,              // loop to itself: the window opens in it
    0xf4,                    // hlt
    0xfa,                    // cli
    0xeb, 0xcd,              // jmp to the first byte
    0x50,                    // handler: push ax
    0xb0, 0x99,              // mov al, 0x99
    0xe6, 0x85,              // out 0x85, al
    0x58,                    // pop ax
    0xcf,                    // iret
};
constexpr std::uint16_t kHandler = 51;
static_assert(kCode[kHandler] == 0x50);

std::string Data(const void* data, std::size_t size) {
  return absl::BytesToHexString(
      absl::string_view(static_cast<const char*>(data), size));
}

std::string Describe(const Exit& exit) {
  std::string text =
      absl::StrCat(ExitReasonName(exit.reason), " raw ", absl::Hex(exit.raw),
                   exit.for_backend ? " for the backend" : "");
  switch (exit.reason) {
    case ExitReason::kIo:
      absl::StrAppendFormat(&text, " %s port %#x size %d count %d",
                            exit.io.is_write ? "out" : "in", exit.io.port,
                            exit.io.size, exit.io.count);
      if (!exit.io.is_write) break;
      absl::StrAppend(&text, " ", Data(exit.io.data, LentBytes(exit)));
      break;
    case ExitReason::kMmio:
      absl::StrAppendFormat(&text, " %s gpa %#x length %d",
                            exit.mmio.is_write ? "write" : "read",
                            exit.mmio.gpa, exit.mmio.length);
      if (!exit.mmio.is_write) break;
      absl::StrAppend(&text, " ", Data(exit.mmio.data, exit.mmio.length));
      break;
    default:
      break;
  }
  return text;
}

// Hands every op on, and writes down what was asked and answered.
class TracingVcpu final : public VcpuOps {
 public:
  TracingVcpu(VcpuOps& inner, std::string* trace)
      : inner_(inner), trace_(*trace) {}

  Exit run() override {
    const Exit exit = inner_.run();
    Line("run ", Describe(exit));
    return exit;
  }
  Disposition handle_exit(const Exit& exit) override {
    const Disposition answer = inner_.handle_exit(exit);
    Line("handle_exit ", static_cast<int>(answer));
    return answer;
  }
  bool interrupt_allowed() override {
    const bool answer = inner_.interrupt_allowed();
    Line("interrupt_allowed ", answer);
    return answer;
  }
  InjectResult inject_irq(std::uint8_t vector) override {
    return Injected("irq ", vector, inner_.inject_irq(vector));
  }
  InjectResult inject_nmi() override {
    return Injected("nmi ", kNmiVector, inner_.inject_nmi());
  }
  InjectResult inject_exception(const Event& event) override {
    return Injected("exception ", event.vector, inner_.inject_exception(event));
  }
  void request_irq_window(bool wanted) override {
    inner_.request_irq_window(wanted);
    Line("irq_window ", wanted);
  }
  void request_nmi_window(bool wanted) override {
    inner_.request_nmi_window(wanted);
    Line("nmi_window ", wanted);
  }
  bool cancel_injection(Event* event) override {
    const bool answer = inner_.cancel_injection(event);
    Line("cancel ", answer, " ", answer ? event->vector : 0);
    return answer;
  }
  RegisterFile& registers() override { return inner_.registers(); }
  Result fetch_registers(RegisterSet groups) override {
    const Result answer = inner_.fetch_registers(groups);
    const GeneralRegisters& general = registers().general;
    Line("fetch ", groups, " ", static_cast<int>(answer), " cached ",
         registers().cached, " rax ", absl::Hex(general.rax), " rip ",
         absl::Hex(general.rip));
    return answer;
  }
  Result commit_registers() override {
    const Result answer = inner_.commit_registers();
    Line("commit ", static_cast<int>(answer), " dirty ", registers().dirty);
    return answer;
  }
  OptionalValue exit_detail(ExitDetail detail) override {
    const OptionalValue answer = inner_.exit_detail(detail);
    Line("detail ", static_cast<int>(detail), " ", answer.known, " ",
         absl::Hex(answer.value));
    return answer;
  }
  KickHandle kick_handle() override { return inner_.kick_handle(); }
  int last_error() const override { return inner_.last_error(); }

 private:
  template <typename... Words>
  void Line(const Words&... words) {
    absl::StrAppend(&trace_, words..., "\n");
  }
  InjectResult Injected(const char* what, int vector, InjectResult answer) {
    Line(what, vector, " ", static_cast<int>(answer));
    return answer;
  }

  VcpuOps& inner_;
  std::string& trace_;
};

// Does what it does by the exits alone, so that it does it again.
class SessionHandler final : public ExitHandler {
 public:
  SessionHandler(VcpuOps& vcpu, VcpuContext& context, int rounds,
                 bool other_data)
      : vcpu_(vcpu),
        context_(context),
        rounds_(rounds),
        other_data_(other_data) {}

  LoopAction HandleExit(Exit& exit) override {
    switch (exit.reason) {
      case ExitReason::kIo:
        return exit.io.is_write ? HandleOut(exit.io) : HandleIn(exit.io);
      case ExitReason::kMmio:
        if (!exit.mmio.is_write) {
          std::memset(exit.mmio.data, ~round_ & 0xff, exit.mmio.length);
        }
        return LoopAction::kResume;
      case ExitReason::kHlt:
        if (round_ % 2 == 0) context_.PostIrq(kOtherVector);
        if (round_ % 5 == 3) context_.PostNmi();
        return LoopAction::kResume;
      case ExitReason::kInterrupted:
        return LoopAction::kResume;
      default:
        return LoopAction::kReturn;
    }
  }

 private:
  LoopAction HandleIn(IoExit& io) const {
    std::uint32_t value = 0x11223300U + static_cast<std::uint32_t>(round_);
    if (other_data_ && round_ == 2) value = ~value;
    std::memcpy(io.data, &value, io.size);
    return LoopAction::kResume;
  }

  LoopAction HandleOut(const IoExit& io) {
    switch (io.port) {
      case 0x80:
        if (++round_ > rounds_) return LoopAction::kReturn;
        // Interrupts are off here: it has to wait for the window.
        if (round_ % 3 == 0) context_.PostIrq(kIrqVector);
        break;
      case 0x84:
        ReadAndChange();
        break;
      case 0x85:
        vcpu_.exit_detail(ExitDetail::kRip);
        vcpu_.exit_detail(ExitDetail::kRflags);
        break;
      case WS_PORT_FAULT:
        return LoopAction::kReturn;
      default:
        break;
    }
    return LoopAction::kResume;
  }

  void ReadAndChange() {
    RegisterFile& file = vcpu_.registers();
    if (vcpu_.fetch_registers(kGeneralRegisters) != Result::kOk) return;
    file.general.rbx = static_cast<std::uint64_t>(round_);
    file.dirty |= kGeneralRegisters;
    if (round_ % 2 == 0) vcpu_.commit_registers();
    if (round_ == 3) vcpu_.fetch_registers(kSpecialRegisters);
    file.wanted = round_ % 4 == 0 ? kGeneralRegisters : kNoRegisters;
    vcpu_.interrupt_allowed();
  }

  VcpuOps& vcpu_;
  VcpuContext& context_;
  const int rounds_;
  const bool other_data_;
  int round_ = 0;
};

// Kicks until it is destroyed.
class Kicker {
 public:
  explicit Kicker(KickHandle handle)
      : thread_([this, handle = std::move(handle)] {
          while (!over_.load()) {
            handle.Kick();
            std::this_thread::sleep_for(std::chrono::microseconds(300));
          }
        }) {}
  ~Kicker() {
    over_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<Session> RunSession(Backend& backend, int rounds,
                                   bool other_data) {
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  absl::StatusOr<std::unique_ptr<Vm>> vm = backend.CreateVm(config);
  if (!vm.ok()) return vm.status();
  Session session;
  TracingVcpu vcpu((*vm)->vcpu(0), &session.trace);
  if (LoadCode(**vm, 0, GuestMode::kReal, kCode, sizeof(kCode)) !=
          Result::kOk ||
      vcpu.fetch_registers(kGeneralRegisters) != Result::kOk) {
    return absl::InternalError("the guest cannot be loaded");
  }
  // The interrupt vector table: offset and segment, four bytes a vector.
  const auto handler =
      static_cast<std::uint32_t>(vcpu.registers().general.rip + kHandler);
  for (const std::uint8_t vector : {kIrqVector, kOtherVector, kNmiVector}) {
    std::memcpy((*vm)->memory().host + std::size_t{vector} * 4, &handler,
                sizeof(handler));
  }
  static_assert(kMmioBase == WS_MMIO_HOLE);
  VcpuContext context;
  SessionHandler handle(vcpu, context, rounds, other_data);
  const Kicker kicker(vcpu.kick_handle());
  const Exit last =
      vcpu_enter_guest<VcpuOps, ExitHandler>(vcpu, context, handle);
  session.ending = Describe(last);
  const std::string explained = (*vm)->Explain(last);
  if (!explained.empty()) absl::StrAppend(&session.ending, ": ", explained);
  return session;
}

}  // namespace worldswitch
