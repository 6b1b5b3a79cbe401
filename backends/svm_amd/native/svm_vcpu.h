// One vCPU in ring 0: the ops over a VMCB. `run` is one VMRUN.
//
// The guest's general registers live in RegisterFile.general, where the switch
// loads and stores them; RAX is copied at each entry and exit, since VMRUN has
// it in the VMCB. RSP, RIP, RFLAGS and the special registers stay in the VMCB
// until somebody wants them. RIP is behind the instruction as soon as its exit
// is decoded, but where an answer decides about it (MSRs, MMIO, strings).
//
//   SvmVcpu& vcpu = vm.svm_vcpu(0);           // final: calls are direct
//   vcpu_enter_guest(vcpu, context, handler);
//
// Runs are made with RFLAGS.IF clear, and return so; the host's interrupts and
// NMIs are taken inside. With vmload=lazy a guest's FS, GS, TR, LDTR and
// system-call MSRs stay in the processor behind a run: the host uses none of
// them, and no interrupt stack of its TSS, until the backend is disabled or the
// VM destroyed. Ring 0, one processor, one thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_

#include <cstdint>

#include "backends/native/exit_completion.h"
#include "backends/native/guest_view.h"
#include "backends/native/host_services.h"
#include "backends/svm_amd/native/svm_cpu.h"
#include "backends/svm_amd/native/svm_debug_registers.h"
#include "backends/svm_amd/native/svm_entry_work.h"
#include "backends/svm_amd/native/svm_events.h"
#include "backends/svm_amd/native/svm_failure.h"
#include "backends/svm_amd/native/svm_features.h"
#include "backends/svm_amd/native/svm_frame.h"
#include "backends/svm_amd/native/svm_instruction.h"
#include "backends/svm_amd/native/svm_kick.h"
#include "backends/svm_amd/native/svm_memory.h"
#include "backends/svm_amd/native/svm_msrs.h"
#include "backends/svm_amd/native/svm_switch.h"
#include "backends/svm_amd/native/vmcb.h"
#include "backends/svm_amd/svm_exit_code.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"

namespace worldswitch::svm {

// What the vCPUs of a VM share.
struct SvmVmParts {
  const HostServices& host;
  SvmCpu& cpu;
  SvmMemory& memory;
  SvmMsrs& msrs;
  const SvmFeatures& features;
  const SvmLimits& limits;
  const NativeKnobValues& knobs;
  std::uint64_t iopm_pa = 0;
  // Exceptions whose exits go to the caller, by vector.
  std::uint32_t asked_exceptions = 0;
  bool asked_mov_dr = false;  // MOV DR goes to the caller
  // What QEMU 7.2 has not, or cannot take.
  bool spares_data_breakpoints = false;
  bool lacks_xsetbv_intercept = false;
  // Bochs 2.7 does not see a V_IRQ that could be taken at VMRUN already: a
  // window that is open then is answered without an entry.
  bool misses_open_window = false;
};

class SvmVcpu final : public VcpuOps, public SvmGuestState {
 public:
  // pages: where the vCPU itself is made. kick: one reference, which the vCPU
  // gives up.
  SvmVcpu(SvmVmParts& parts, const HostPages& pages, SvmKickTarget* kick,
          std::uint32_t asid);
  ~SvmVcpu();
  SvmVcpu(const SvmVcpu&) = delete;
  SvmVcpu& operator=(const SvmVcpu&) = delete;

  inline Exit run() override;
  Disposition handle_exit(const Exit& exit) override;
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override {
    events_.RequestNmiWindow(wanted);
  }
  bool cancel_injection(Event* event) override { return events_.Cancel(event); }
  RegisterFile& registers() override { return frame_.registers; }
  Result fetch_registers(RegisterSet groups) override;
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  KickHandle kick_handle() override;
  int last_error() const override { return last_error_; }

  OptionalValue counter(Counter counter) const;
  // The VM's.
  Vmcb& vmcb() { return frame_.vmcb; }
  EntryWork& work() { return frame_.work; }
  SvmEvents& events() { return events_; }
  const SvmFailure& failure() const { return failure_; }
  void Flush() { frame_.work.before |= EntryWork::kFlush; }
  // The VMCB was written from outside: all of it is new to the processor, and
  // the rules are gone through before the next entry, should it be refused.
  void Written() {
    frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
    frame_.work.before |= EntryWork::kVerify;
  }
  // SVM was turned on, or off, under it.
  void SetEnabled(bool enabled);

  // SvmGuestState:
  void StateLeft() override;
  std::uint64_t state_pa() const override { return frame_.vmcb_pa; }

 private:
  // svm_vcpu.cc
  void SetControls(std::uint32_t asid);
  // The way in where there is something to do.
  Exit RunWithWork();
  // What EntryWork and dirty registers ask for. False: *early is what the run
  // returns, without an entry.
  bool PrepareEntry(Exit* early);
  // False: an instruction is in the middle of its two accesses to a device;
  // *second is the second one, begun, unless it is null.
  bool Settle(Exit* second);
  void LoadAndFlush();
  Result SendDirty();
  void FillWanted();
  Exit Interrupted();
  Exit FinishExit();
  void RaiseException(std::uint8_t vector, bool has_error_code = false,
                      std::uint32_t error_code = 0);
  bool InterruptsOn() const;

  // svm_exits.cc
  Exit Decode();
  Exit DecodeException(std::uint32_t vector);
  Exit DecodeIo();
  Exit DecodeMsr();
  Exit DecodeNestedPageFault();
  Exit DecodeRegisterAccess(ExitReason reason, std::uint64_t number);
  Exit DecodeDebugRegister(unsigned number, std::uint8_t gpr, bool is_write);
  Exit DecodeTimeStamp();
  Exit Instruction(ExitReason reason, std::uint8_t length);
  Exit Unknown();
  void ResetGuest();
  Exit RefusedEntry();
  std::uint64_t code() const { return frame_.vmcb.control.exit_code; }
  CodeSize code_size() const;
  GuestView View() const;
  std::size_t ReadInstruction(std::uint8_t* bytes) const;
  DecodedInstruction DecodeHere() const;

  // The vCPU whose frame it is.
  static SvmVcpu* Of(SvmFrame* frame) {
    return reinterpret_cast<SvmVcpu*>(reinterpret_cast<std::byte*>(frame) -
                                      kFrameAt);
  }
  // Behind the pointers to the two tables of virtual functions; the
  // constructor checks it.
  static constexpr std::size_t kFrameAt = alignof(SvmFrame);
  SvmFrame frame_;

  const bool switches_all_;  // VMLOAD and VMSAVE every time
  SvmVmParts& parts_;
  SvmEvents events_;
  SvmDebugRegisters debug_registers_;
  ExitCompletion completion_;
  std::uint64_t exits_ = 0;       // the others
  std::uint64_t port_value_ = 0;  // of OUT and IN
  std::uint8_t port_bytes_ = 1;
  std::uint64_t time_stamp_[2] = {};
  bool time_stamp_has_aux_ = false;
  const std::uint32_t clean_;  // what the clean bits are behind an exit
  const SvmStateRule* broken_ = nullptr;  // by the last kVerify
  SvmFailure failure_;
  // As it was when it was cached, for a commit that is refused.
  GeneralRegisters general_before_ = {};
  std::uint64_t apic_base_;
  std::uint64_t counters_[static_cast<std::size_t>(Counter::kCount)] = {};
  int last_error_ = 0;
};

[[gnu::always_inline]] inline Exit SvmVcpu::run() {
  SvmFrame* frame = &frame_;
  // Of all that the compiler knows, only this pointer lives on behind the
  // switch: it must not think of it as a part of *this.
  asm volatile("" : "+D"(frame));
  if (frame->has_work()) [[unlikely]]
    return RunWithWork();
  frame->vmcb.save.rax = frame->registers.general.rax;
  if (ClgiAndTest(frame->kick->word())) [[unlikely]]
    return Interrupted();
  Switch(&frame->registers.general);
  frame->registers.general.rax = frame->vmcb.save.rax;
  frame->registers.cached = kNoRegisters;
  // Neither of these exits during the delivery of an event.
  const std::uint64_t code = frame->vmcb.control.exit_code;
  if (code == static_cast<std::uint64_t>(SvmExitCode::kCpuid)) [[likely]] {
    if (frame->SkipPlain(SvmFrame::kCpuidBytes)) [[likely]] {
      ++frame->cpuids;
      return frame->CpuidExitNow();
    }
  } else if (code == static_cast<std::uint64_t>(SvmExitCode::kVmmcall)) {
    if (frame->SkipPlain(SvmFrame::kVmmcallBytes)) [[likely]] {
      ++frame->hypercalls;
      return frame->HypercallExitNow();
    }
  }
  return Of(frame)->FinishExit();
}

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_
