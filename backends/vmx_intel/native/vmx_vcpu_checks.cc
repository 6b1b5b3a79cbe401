#include "backends/vmx_intel/native/vmx_vcpu_checks.h"

#include "backends/vmx_intel/native/vmx_failure.h"
#include "core/features/processor_controls.h"
#include "guests/guests.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kMainPort = 0xe8;
constexpr std::uint8_t kHandlerPort = 0xea;
constexpr std::uint8_t kSecondPort = 0xeb;
constexpr std::uint8_t kVector = 0x51;
constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kGeneralProtection = 13;
constexpr std::uint64_t kStackPage = 0x11000;  // of both modes' guests

// OUT, and again; handler: OUT, IRET.
constexpr std::uint8_t kInterrupted[] = {0xe6, kMainPort,    0xeb, 0xfc,
                                         0xe6, kHandlerPort, 0xcf};
// JMP to itself.
constexpr std::uint8_t kSpin[] = {0xeb, 0xfe};
// VMXON 0x1000, in 64-bit mode: elsewhere it is #UD before it could exit.
constexpr std::uint8_t kVmxon[] = {0xf3, 0x0f, 0xc7, 0x34, 0x25,
                                   0x00, 0x10, 0x00, 0x00};
// CR4 |= VMXE.
constexpr std::uint8_t kSetVmxe[] = {0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x20,
                                     0x00, 0x00, 0x0f, 0x22, 0xe0};
constexpr std::uint8_t kUd2[] = {0x0f, 0x0b};
// RDMSR of an MSR that nobody has; at 10, #GP's handler; at 13, an interrupt's.
constexpr std::uint8_t kRdmsr[] = {
    0x66, 0xb9, 0xff, 0x44,         0x56, 0x4b, 0x0f,        0x32,
    0xeb, 0xfe, 0xe6, kHandlerPort, 0xcf, 0xe6, kSecondPort, 0xcf};
constexpr std::uint8_t kRdmsrFault = 10;
constexpr std::uint8_t kRdmsrInterrupt = 13;
// DR0 = 0x12345678; EBX = DR0.
constexpr std::uint8_t kDebugRegister[] = {0x66, 0xb8, 0x78, 0x56,     0x34,
                                           0x12, 0x0f, 0x23, 0xc0,     0x0f,
                                           0x21, 0xc3, 0xe6, kMainPort};
// AL = the byte at WS_TOUCH, in 64-bit mode; OUT.
constexpr std::uint8_t kTouch[] = {0x8a, 0x04, 0x25, 0x00,     0x00,
                                   0x04, 0x00, 0xe6, kMainPort};
static_assert(WS_TOUCH == 0x40000);

class VcpuChecker {
 public:
  VcpuChecker(NativeBackend& backend, CheckSink& sink)
      : backend_(backend), sink_(sink) {}
  ~VcpuChecker() { Drop(); }

  void Run() {
    Check("vcpu.delivery_interrupted", &VcpuChecker::InterruptedDelivery);
    Check("vcpu.delivery_cancelled", &VcpuChecker::CancelledDelivery);
    Check("vcpu.fault_before_interrupt", &VcpuChecker::FaultBeforeInterrupt);
    Check("vcpu.run_limit", &VcpuChecker::RunLimit);
    Check("vcpu.vmx_instruction_is_ud", &VcpuChecker::VmxInstruction);
    Check("vcpu.vmxe_is_gp", &VcpuChecker::SettingVmxe);
    Check("vcpu.exception_goes_on", &VcpuChecker::ExceptionGoesOn);
    Check("vcpu.exception_taken_away", &VcpuChecker::ExceptionTakenAway);
    Check("vcpu.debug_registers", &VcpuChecker::DebugRegisters);
    Check("vcpu.discarded_page", &VcpuChecker::DiscardedPage);
    Check("vcpu.two_in_turns", &VcpuChecker::TwoInTurns);
  }

 private:
  void Check(const char* name, void (VcpuChecker::*check)()) {
    const char* why = "";
    const NativeKnobValues knobs(backend_.knobs());
    wrong_ = {};
    failed_ = false;
    vm_ = backend_.CreateVm({.memory_bytes = WS_MEMORY_BYTES, .vcpus = 2},
                            knobs, &why);
    if (vm_ == nullptr) {
      Expect(false, why);
    } else {
      (this->*check)();
    }
    Drop();
    sink_.Check(name, failed_ ? CheckVerdict::kFailed : CheckVerdict::kPassed,
                wrong_.c_str());
  }
  void Drop() {
    if (vm_ != nullptr) backend_.DestroyVm(vm_);
    vm_ = nullptr;
  }

  VcpuOps& vcpu(std::uint32_t index = 0) { return vm_->vcpu(index); }
  ProcessorControls& controls() { return *FeatureOf<ProcessorControls>(*vm_); }

  template <std::size_t size>
  void Load(const std::uint8_t (&code)[size], GuestMode mode,
            bool interrupts_on = false, std::uint32_t index = 0) {
    Expect(
        LoadCode(*vm_, index, mode, code, size, interrupts_on) == Result::kOk,
        "a guest that is loaded");
    code_ = vcpu(index).registers().general.rip;
  }
  // In real mode: the vector leads `offset` bytes into the guest's code.
  void SetRealHandler(std::uint8_t vector, std::uint8_t offset) {
    const auto address = static_cast<std::uint32_t>(code_ + offset);
    __builtin_memcpy(vm_->memory().At(vector * std::uint64_t{4}, 4), &address,
                     sizeof(address));
  }

  bool Expect(bool holds, const char* what) {
    if (!holds && !failed_) {
      failed_ = true;
      wrong_.Append("expected: ").Append(what);
    }
    return holds;
  }
  // One run that exits so; `disposition`: whether the backend keeps the exit.
  bool Run(ExitReason reason, Disposition disposition,
           std::uint32_t index = 0) {
    exit_ = vcpu(index).run();
    if (exit_.reason != reason && !failed_) {
      failed_ = true;
      wrong_.Append("expected ")
          .Append(ExitReasonName(reason))
          .Append(", seen ")
          .Append(ExitReasonName(exit_.reason))
          .Append(" ")
          .AppendDecimal(exit_.raw);
    }
    const bool resumes = disposition == Disposition::kResume;
    return Expect(BackendResumes(vcpu(index), exit_) == resumes,
                  "another answer of handle_exit");
  }
  bool RunToOut(std::uint16_t port, std::uint32_t index = 0) {
    return Run(ExitReason::kIo, Disposition::kToCaller, index) &&
           Expect(exit_.io.port == port && exit_.io.is_write,
                  "an OUT to another port");
  }
  // The guest's own report of an exception.
  bool RunToFault(std::uint32_t vector) {
    return RunToOut(WS_PORT_FAULT) &&
           Expect(ReadGuestFault(*vm_, GuestMode::kRing0).vector == vector,
                  "another exception");
  }

  // The stack is not there when the interrupt is delivered.
  bool InterruptDelivery() {
    Load(kInterrupted, GuestMode::kReal, /*interrupts_on=*/true);
    SetRealHandler(kVector, 4);
    return RunToOut(kMainPort) &&
           Expect(vm_->discard_memory(kStackPage, 4096) == Result::kOk,
                  "a page that is discarded") &&
           Expect(vcpu().inject_irq(kVector) == InjectResult::kOk,
                  "inject_irq is accepted") &&
           Run(ExitReason::kPageFault, Disposition::kResume) &&
           Expect((exit_.page_fault.gpa & ~std::uint64_t{4095}) == kStackPage,
                  "the stack's page") &&
           Expect(!vcpu().interrupt_allowed(),
                  "the interrupt is on its way again");
  }
  void InterruptedDelivery() {
    if (!InterruptDelivery() || !RunToOut(kHandlerPort)) return;
    RunToOut(kMainPort);
    Expect(vm_->counter(Counter::kPageFaultsFixed, 0).value == 1,
           "one page fault that was served");
    Expect(vm_->counter(Counter::kIrqInjections, 0).value == 1,
           "one interrupt that was delivered");
  }
  void CancelledDelivery() {
    Event event;
    if (!InterruptDelivery() ||
        !Expect(vcpu().cancel_injection(&event) &&
                    event.kind == EventKind::kIrq && event.vector == kVector,
                "the interrupt is taken back")) {
      return;
    }
    RunToOut(kMainPort);
    RunToOut(kMainPort);
  }

  void FaultBeforeInterrupt() {
    Load(kRdmsr, GuestMode::kReal, /*interrupts_on=*/true);
    SetRealHandler(kGeneralProtection, kRdmsrFault);
    SetRealHandler(kVector, kRdmsrInterrupt);
    if (!Run(ExitReason::kRdmsr, Disposition::kToCaller)) return;
    *exit_.msr.inject_gp = 1;
    if (!Expect(vcpu().inject_irq(kVector) == InjectResult::kOk,
                "inject_irq is accepted") ||
        !RunToOut(kHandlerPort) ||
        // Its window, which nobody asked for.
        !Run(ExitReason::kIrqWindow, Disposition::kResume)) {
      return;
    }
    RunToOut(kSecondPort);
    Run(ExitReason::kRdmsr, Disposition::kToCaller);
  }

  void RunLimit() {
    Load(kSpin, GuestMode::kReal);
    if (controls().set_run_limit(0, 100'000) == Result::kUnsupported) return;
    for (int i = 0; i < 3; ++i) {
      if (!Run(ExitReason::kInterrupted, Disposition::kToCaller)) return;
    }
  }

  void VmxInstruction() {
    Load(kVmxon, GuestMode::kRing0);
    if (!Run(ExitReason::kUnknown, Disposition::kResume) ||
        !Expect(exit_.raw == 27, "the exit of VMXON")) {
      return;
    }
    RunToFault(kInvalidOpcode);
  }

  void SettingVmxe() {
    Load(kSetVmxe, GuestMode::kRing0);
    if (Run(ExitReason::kControlRegister, Disposition::kToCaller)) {
      RunToFault(kGeneralProtection);
    }
  }

  bool RunToException() {
    Load(kUd2, GuestMode::kRing0);
    return Expect(controls().set_exception_intercept(kInvalidOpcode, true) ==
                      Result::kOk,
                  "an exception that is intercepted") &&
           Run(ExitReason::kException, Disposition::kToCaller) &&
           Expect(exit_.exception.vector == kInvalidOpcode, "#UD");
  }
  void ExceptionGoesOn() {
    if (RunToException()) RunToFault(kInvalidOpcode);
  }
  void ExceptionTakenAway() {
    Event event;
    if (RunToException() && Expect(vcpu().cancel_injection(&event) &&
                                       event.kind == EventKind::kException,
                                   "the exception is taken back")) {
      Run(ExitReason::kException, Disposition::kToCaller);
    }
  }

  void DebugRegisters() {
    Load(kDebugRegister, GuestMode::kReal);
    if (!Run(ExitReason::kDebugRegister, Disposition::kToCaller) ||
        !Expect(exit_.register_access.is_write, "MOV to DR0") ||
        !Run(ExitReason::kDebugRegister, Disposition::kToCaller) ||
        !Expect(!exit_.register_access.is_write, "MOV from DR0") ||
        !RunToOut(kMainPort)) {
      return;
    }
    vcpu().fetch_registers(kGeneralRegisters);
    Expect(vcpu().registers().general.rbx == 0x12345678,
           "DR0 as it was written");
  }

  void DiscardedPage() {
    Load(kTouch, GuestMode::kRing0);
    *vm_->memory().At(WS_TOUCH, 1) = std::byte{0x5a};
    if (!Expect(vm_->discard_memory(WS_TOUCH, 4096) == Result::kOk,
                "a page that is discarded") ||
        !Run(ExitReason::kPageFault, Disposition::kResume) ||
        !Expect(exit_.page_fault.gpa == WS_TOUCH, "its address") ||
        !RunToOut(kMainPort)) {
      return;
    }
    Expect(*static_cast<const std::uint8_t*>(exit_.io.data) == 0,
           "a page of zeros");
  }

  // Each keeps its registers, and CR2, which no VMCS holds.
  void TwoInTurns() {
    for (std::uint32_t i = 0; i < 2; ++i) {
      Load(kInterrupted, GuestMode::kReal, false, i);
      vcpu(i).fetch_registers(kAllRegisters);
      RegisterFile& file = vcpu(i).registers();
      file.general.rax = 0x10 + i;
      file.special.cr2 = 0x1000 + i;
      file.dirty = kAllRegisters;
    }
    for (std::uint32_t turn = 0; turn < 6; ++turn) {
      const std::uint32_t i = turn % 2;
      if (!RunToOut(kMainPort, i) ||
          !Expect(*static_cast<const std::uint8_t*>(exit_.io.data) == 0x10 + i,
                  "its own RAX")) {
        return;
      }
      vcpu(i).fetch_registers(kSpecialRegisters);
      if (!Expect(vcpu(i).registers().special.cr2 == 0x1000 + i,
                  "its own CR2")) {
        return;
      }
    }
  }

  NativeBackend& backend_;
  CheckSink& sink_;
  NativeVm* vm_ = nullptr;
  std::uint64_t code_ = 0;
  Exit exit_;
  TextLine wrong_;
  bool failed_ = false;
};

}  // namespace

void RunVmxVcpuChecks(NativeBackend& backend, CheckSink& sink) {
  VcpuChecker checker(backend, sink);
  checker.Run();
}

}  // namespace worldswitch
