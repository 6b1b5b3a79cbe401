// One vCPU on VMX: vmx_vcpu_run and the rest of the ops, as a final type, so
// that the loop instantiated on it makes no virtual call.
//
// What is on the way from an exit to the next entry is in this header: the test
// whether anything is to be done before the entry, the skip of the instruction
// that exited, the switch, a VMREAD, and the exits of CPUID and VMCALL.
// Everything else is a call away (vmx_vcpu.cc, vmx_vcpu_events.cc,
// vmx_exits.cc, vmx_register_access.cc).
//
// Left to the host, since no control of the VMCS switches it: the FPU and XCR0
// (XSETBV is handed out and not executed), IA32_KERNEL_GS_BASE (SWAPGS),
// IA32_STAR, IA32_LSTAR, IA32_FMASK and IA32_TSC_AUX, DR6. Not modelled: the
// #DB of a guest that single-steps itself over an instruction that exits, and a
// RIP that wraps at 4 GiB there.
//
// The host's interrupts are off whenever an op is called, and stay off: an
// interrupt that becomes pending between the last look at a kick and the entry
// makes the guest exit at once. One CPU. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/exit_completion.h"
#include "backends/native/host_services.h"
#include "backends/vmx_intel/native/vmcs.h"
#include "backends/vmx_intel/native/vmx_controls.h"
#include "backends/vmx_intel/native/vmx_debug_registers.h"
#include "backends/vmx_intel/native/vmx_events.h"
#include "backends/vmx_intel/native/vmx_failure.h"
#include "backends/vmx_intel/native/vmx_guest_state.h"
#include "backends/vmx_intel/native/vmx_kick.h"
#include "backends/vmx_intel/native/vmx_memory.h"
#include "backends/vmx_intel/native/vmx_switch.h"
#include "backends/vmx_intel/native/vmx_timer.h"
#include "backends/vmx_intel/vmx_capability.h"
#include "backends/vmx_intel/vmx_exit_reason.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"

namespace worldswitch {

class VmxVcpu;

// A set of exit reasons, one bit each.
constexpr std::uint64_t ReasonBit(ExitReason reason) {
  return std::uint64_t{1} << static_cast<unsigned>(reason);
}
static_assert(kExitReasonCount <= 64);

// The CPU that all of this runs on.
struct VmxCpu {
  VmxVcpu* current = nullptr;  // whose VMCS is current
  std::uint16_t last_vpid = 0;
};

// What the vCPUs of one VM share. All of it outlives them.
struct VmxShared {
  VmxCpu& cpu;
  const HostServices& host;
  const VmxCapabilities& capabilities;
  VmxMemory& memory;
  VmxControlPlan plan;
  std::uint64_t io_bitmap_a = 0;  // physical, 0: none
  std::uint64_t io_bitmap_b = 0;
  std::uint64_t msr_bitmap = 0;
  std::uint32_t asked_exceptions = 0;  // that exit to the caller
  std::uint64_t timer_ticks = 0;       // of every run; 0: none
  std::uint32_t ple_gap = 0;
  std::uint32_t ple_window = 0;
};

class VmxVcpu final : public VcpuOps {
 public:
  explicit VmxVcpu(VmxShared& shared);
  ~VmxVcpu();
  VmxVcpu(const VmxVcpu&) = delete;
  VmxVcpu& operator=(const VmxVcpu&) = delete;

  // False: *why.
  bool Create(const char** why);

  // Declared inline here, so that the vtable, and the copy of `run` that it
  // leads to, are vmx_vcpu.cc's alone.
  inline Exit run() override;
  Disposition handle_exit(const Exit& exit) override;
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override;
  bool cancel_injection(Event* event) override;
  RegisterFile& registers() override { return frame_.file; }
  Result fetch_registers(RegisterSet groups) override;
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  KickHandle kick_handle() override;
  int last_error() const override { return last_error_; }

  // ---- For the VM ----

  // Called by a kick, also by one that an interrupt's handler makes: one
  // instruction.
  void RequestKick() { Attend(kKicked); }
  OptionalValue counter(Counter counter) const;
  const VmxEntryFailure& failure() const { return failure_; }
  // Since it was made.
  std::uint64_t vmreads() const {
    return vmcs_.reads() + frame_.plain_exits + 2 * exits_ + 3 * skips();
  }
  std::uint64_t vmwrites() const { return vmcs_.writes() + skips(); }
  Vmcs& vmcs() { return vmcs_; }
  VmxControlWords& words() { return words_; }
  VmxGuestState& state() { return state_; }
  VmxTimer& timer() { return timer_; }
  // Its VMCS becomes the current one, if it is not.
  void MakeCurrent();
  // The timer is to be written at the next entry.
  void AttendTimer() { Attend(kTimerDue); }
  void WriteExceptionBitmap();
  void FlushLinear();
  // For the checks, which want a wrong one: what the next entry takes the
  // VMCS's launch state for.
  void set_launched(bool launched) {
    launched_ = launched;
    Attend(kLaunchDue);
  }
  VmxSwitchFrame* frame() { return &frame_; }

 private:
  // Why the next run is not the plain one.
  static constexpr std::uint32_t kSkipDue = 1u << 0;  // the plain one's; see
                                                      // DecodeExit
  static constexpr std::uint32_t kKicked = 1u << 1;
  static constexpr std::uint32_t kNotCurrent = 1u << 2;
  static constexpr std::uint32_t kCompletionDue = 1u << 3;
  static constexpr std::uint32_t kEventDue = 1u << 4;
  static constexpr std::uint32_t kLaunchDue = 1u << 5;
  static constexpr std::uint32_t kTimerDue = 1u << 6;
  static constexpr std::uint32_t kBreakpointsArmed = 1u << 7;
  static constexpr std::uint32_t kCompleted = 1u << 8;  // see completed_rip_
  static constexpr std::uint32_t kCached = 1u << 10;    // some group is
  static constexpr std::uint32_t kEventHeld = 1u << 9;

  // A register access or the like whose result the caller gives.
  enum class Access : std::uint8_t {
    kNone,
    kMovToCr,
    kMovFromCr,
    kClts,
    kLmsw,
    kMovToDr,
    kMovFromDr,
    kTimeStamp,
  };

  void Attend(std::uint32_t bits) { frame_.Attend(bits); }
  void AttendNoMore(std::uint32_t bits) { frame_.AttendNoMore(bits); }
  // Interrupts are off in here, so nobody else changes it meanwhile.
  bool Attending(std::uint32_t bits) const {
    return (frame_.attention & bits) != 0;
  }

  GeneralRegisters& general() { return frame_.file.general; }

  // On the plain way in and out only the frame is at hand, and the vCPU one
  // subtraction away.
  static VmxVcpu* Of(VmxSwitchFrame* frame) {
    return reinterpret_cast<VmxVcpu*>(reinterpret_cast<std::byte*>(frame) -
                                      kFrameAt);
  }
  // Behind the pointer to the virtual functions; the constructor checks it.
  static constexpr std::size_t kFrameAt = sizeof(void*);
  // The entry, and the exit in its plainest form.
  static Exit Enter(VmxSwitchFrame* frame, bool launch);
  // RIP behind the instruction that exited.
  static void SkipInstruction();
  static Exit CpuidExitOf(VmxSwitchFrame* frame);
  static Exit HypercallExitOf(VmxSwitchFrame* frame);

  // The same as SkipInstruction for one whose length is known; length: bytes.
  void AdvanceRip(std::uint64_t length);
  void EndInterruptShadow(std::uint64_t interruptibility);
  Exit RunWithWork();
  Exit RunInShadow();
  Exit EndFailedEntry();
  // After a failed entry nothing is relied on: the VMCS is cleared, and the
  // next entry is a VMLAUNCH.
  void Relaunch();
  Exit EndFailedGuestState(std::uint32_t reason);

  // vmx_exits.cc
  Exit DecodeExit(std::uint32_t reason);
  Exit Skipping(ExitReason reason, std::uint32_t raw);
  void SkipLater();
  Exit DecodeIrqWindow();
  Exit DecodeException();
  void PrepareDebugException();
  Exit DecodeExternalInterrupt();
  Exit DecodeIo();
  Exit DecodeMsr(std::uint32_t reason);
  Exit DecodeControlRegister();
  Exit DecodeDebugRegister();
  Exit DecodeTimeStamp(std::uint32_t reason);
  Exit DecodeNestedFault(std::uint32_t reason);
  bool DecodeMmio(std::uint32_t reason, std::uint64_t gpa, Exit* exit);

  // vmx_register_access.cc
  void CompleteAccess();
  bool MoveToControlRegister(unsigned number, std::uint64_t value);
  std::uint64_t ReadControlRegister(unsigned number);
  bool In64BitMode();
  std::uint64_t ReadGpr(unsigned number);
  void WriteGpr(unsigned number, std::uint64_t value);

  // What is left of the last exit's instruction is done.
  void CompletePending();
  // Between two exits of one instruction.
  bool InMidInstruction() const { return completion_.mid_instruction(); }
  bool SendDirty();
  void CacheWanted(const Exit& exit);
  void Queue(const VmxEntryEvent& event);
  // The same for an exception, whatever was accepted before. False: it was one
  // too many, and the guest shuts down.
  bool QueueException(const VmxEntryEvent& event);
  // A fault of the instruction that is being completed, error code 0.
  void RaiseException(std::uint8_t vector, bool has_error_code);
  // Lets a held event follow as soon as the guest can take it.
  void OfferHeld();
  std::uint64_t Rflags();
  std::uint64_t Interruptibility();
  void Count(Counter counter) { ++counters_[static_cast<unsigned>(counter)]; }

  std::uint64_t exits() const { return frame_.plain_exits + exits_; }
  // Instructions skipped: three fields read for each, and one written.
  std::uint64_t skips() const {
    return frame_.plain_exits + skips_ - (Attending(kSkipDue) ? 1 : 0);
  }

  VmxSwitchFrame frame_;
  std::uint64_t exits_ = 0;  // the others, of each two fields were read
  std::uint64_t skips_ = 0;  // of those, done or due
  VmxShared& shared_;
  Vmcs vmcs_;

  VmxControlWords words_;
  VmxGuestState state_;
  VmxEvents events_;
  VmxTimer timer_;
  VmxDebugRegisters debug_registers_;
  VmxLanding landing_;
  bool launched_ = false;  // else the next entry is a VMLAUNCH
  VmxKick* kick_ = nullptr;
  std::uint16_t vpid_ = 0;
  int last_error_ = 0;
  std::uint64_t counters_[static_cast<unsigned>(Counter::kCount)] = {};
  VmxEntryFailure failure_;
  GeneralRegisters fetched_ = {};  // what a refused commit puts back

  std::uint64_t out_value_ = 0;  // of an OUT
  Access access_ = Access::kNone;
  std::uint8_t access_number_ = 0;
  std::uint8_t access_gpr_ = 0;
  std::uint16_t access_source_ = 0;       // LMSW
  std::uint64_t time_stamp_[2] = {0, 0};  // what the caller gives
  bool rdtscp_ = false;
  std::uint64_t completed_rip_ = 0;  // where the completed instruction was
  bool irq_window_asked_ = false;    // by the caller
  // An interrupt or NMI that a fault has overtaken.
  VmxEntryEvent held_;
  ExitCompletion completion_;
};

[[gnu::always_inline]] inline void VmxVcpu::SkipInstruction() {
  const std::uint64_t length =
      Vmcs::ReadUncounted(VmcsField::kExitInstructionLength);
  const std::uint64_t rip = Vmcs::ReadUncounted(VmcsField::kGuestRip);
  Vmcs::WriteUncounted(VmcsField::kGuestRip, rip + length);
}

[[gnu::always_inline]] inline Exit VmxVcpu::CpuidExitOf(VmxSwitchFrame* frame) {
  GeneralRegisters& general = frame->file.general;
  frame->Attend(kSkipDue);
  ++frame->plain_exits;
  Exit exit;
  exit.reason = ExitReason::kCpuid;
  exit.raw = static_cast<std::uint64_t>(VmxExitReason::kCpuid);
  exit.cpuid.leaf = static_cast<std::uint32_t>(general.rax);
  exit.cpuid.subleaf = static_cast<std::uint32_t>(general.rcx);
  exit.cpuid.result = &general.rax;
  return exit;
}

[[gnu::always_inline]] inline Exit VmxVcpu::HypercallExitOf(
    VmxSwitchFrame* frame) {
  GeneralRegisters& general = frame->file.general;
  frame->Attend(kSkipDue);
  ++frame->plain_exits;
  Exit exit;
  exit.reason = ExitReason::kHypercall;
  exit.raw = static_cast<std::uint64_t>(VmxExitReason::kVmcall);
  exit.hypercall.number = general.rax;
  exit.hypercall.arguments = &general.rbx;
  exit.hypercall.result = &general.rax;
  exit.hypercall.argument_count = 4;  // RBX, RCX, RDX, RSI
  return exit;
}

[[gnu::always_inline]] inline Exit VmxVcpu::Enter(VmxSwitchFrame* frame,
                                                  bool launch) {
  if (ring0::ReadCr2() != frame->cr2) [[unlikely]]
    ring0::WriteCr2(frame->cr2);
  if (launch ? LaunchGuest(frame) : ResumeGuest(frame)) [[unlikely]]
    return Of(frame)->EndFailedEntry();
  frame->cr2 = ring0::ReadCr2();
  // Neither of these two exits with an event's delivery interrupted.
  const std::uint64_t reason = Vmcs::ReadUncounted(VmcsField::kExitReason);
  if (reason == static_cast<std::uint64_t>(VmxExitReason::kCpuid)) {
    return CpuidExitOf(frame);
  }
  if (reason == static_cast<std::uint64_t>(VmxExitReason::kVmcall)) {
    return HypercallExitOf(frame);
  }
  return Of(frame)->DecodeExit(static_cast<std::uint32_t>(reason));
}

[[gnu::always_inline]] inline Exit VmxVcpu::run() {
  VmxSwitchFrame* frame = &frame_;
  // Of all that the compiler knows, only this pointer lives on behind the
  // switch: it must not think of it as a part of *this.
  asm volatile("" : "+D"(frame));
  if (frame->file.InUse(RegisterFile::kWanted | RegisterFile::kDirty))
      [[unlikely]] {
    return RunWithWork();
  }
  if (frame->attention == kSkipDue) [[likely]] {
    const std::uint64_t interruptibility =
        Vmcs::ReadUncounted(VmcsField::kGuestInterruptibility);
    if ((interruptibility & vmx::kInterruptShadow) != 0) [[unlikely]]
      return RunInShadow();
    SkipInstruction();
  } else if (frame->attention != 0) [[unlikely]] {
    return RunWithWork();
  }
  return Enter(frame, false);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_H_
