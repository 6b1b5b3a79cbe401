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
// Ring 0, one processor, one thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_

#include <cstdint>

#include "backends/native/exit_completion.h"
#include "backends/native/guest_view.h"
#include "backends/native/host_services.h"
#include "backends/svm_amd/native/svm_cpu.h"
#include "backends/svm_amd/native/svm_entry_work.h"
#include "backends/svm_amd/native/svm_events.h"
#include "backends/svm_amd/native/svm_failure.h"
#include "backends/svm_amd/native/svm_features.h"
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
  Disposition handle_exit(const Exit& exit) override {
    if (!internal_) [[likely]]
      return Disposition::kToCaller;
    return HandleInternal(exit);
  }
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override {
    events_.RequestIrqWindow(wanted);
  }
  void request_nmi_window(bool wanted) override {
    events_.RequestNmiWindow(wanted);
  }
  bool cancel_injection(Event* event) override {
    return events_.Cancel(event);
  }
  RegisterFile& registers() override { return registers_; }
  Result fetch_registers(RegisterSet groups) override;
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  KickHandle kick_handle() override;
  int last_error() const override { return last_error_; }

  OptionalValue counter(Counter counter) const;
  // The VM's.
  Vmcb& vmcb() { return vmcb_; }
  EntryWork& work() { return work_; }
  SvmEvents& events() { return events_; }
  const SvmFailure& failure() const { return failure_; }
  void Flush() { work_.before |= EntryWork::kFlush; }
  // The VMCB was written from outside: all of it is new to the processor, and
  // the rules are gone through before the next entry, should it be refused.
  void Written() {
    work_.Touch(vmcb_, SvmClean::kAll);
    work_.before |= EntryWork::kVerify;
  }
  // SVM was turned on, or off, under it.
  void SetEnabled(bool enabled);

  // SvmGuestState:
  void StateLeft() override;
  std::uint64_t state_pa() const override { return vmcb_pa_; }

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
  Disposition HandleInternal(const Exit& exit);
  void RaiseException(std::uint8_t vector, bool has_error_code = false,
                      std::uint32_t error_code = 0);
  bool InterruptsOn() const;

  // svm_exits.cc
  Exit Decode();
  Exit DecodeException(std::uint32_t vector);
  Exit DecodeIo();
  Exit DecodeMsr();
  Exit DecodeNestedPageFault();
  Exit DecodeRegisterAccess(ExitReason reason, std::uint64_t code);
  Exit DecodeTimeStamp();
  Exit Instruction(ExitReason reason, std::uint8_t length);
  Exit Unknown();
  void ResetGuest();
  Exit Internal(Exit exit) {
    internal_ = true;
    internal_reason_ = exit.reason;
    return exit;
  }
  Exit RefusedEntry();
  std::uint64_t code() const { return vmcb_.control.exit_code; }
  CodeSize code_size() const;
  GuestView View() const;
  std::size_t ReadInstruction(std::uint8_t* bytes) const;
  DecodedInstruction DecodeHere() const;

  [[gnu::always_inline]] Exit HypercallExit() {
    GeneralRegisters& general = registers_.general;
    Exit exit;
    exit.reason = ExitReason::kHypercall;
    exit.raw = static_cast<std::uint64_t>(SvmExitCode::kVmmcall);
    exit.hypercall = {.number = general.rax,
                      .arguments = &general.rbx,
                      .result = &general.rax,
                      .argument_count = 4};
    return exit;
  }
  [[gnu::always_inline]] Exit CpuidAnswered() {
    GeneralRegisters& general = registers_.general;
    Exit exit;
    exit.reason = ExitReason::kCpuid;
    exit.raw = static_cast<std::uint64_t>(SvmExitCode::kCpuid);
    exit.cpuid = {.leaf = static_cast<std::uint32_t>(general.rax),
                  .subleaf = static_cast<std::uint32_t>(general.rcx),
                  .result = &general.rax};
    return exit;
  }

  static constexpr std::uint8_t kVmmcallBytes = 3;
  static constexpr std::uint8_t kCpuidBytes = 2;

  // RIP behind the instruction, whose interrupt shadow ends with it. length:
  // used without NRIPS only.
  [[gnu::always_inline]] void Skip(std::uint8_t length) {
    VmcbSave& save = vmcb_.save;
    exit_rip_ = save.rip;
    save.rip =
        has_nrip_ ? vmcb_.control.next_rip : save.rip + std::uint64_t{length};
    vmcb_.control.interrupt_shadow = 0;
  }
  // The same without a look at the instruction. False, nothing done: it may
  // have prefixes, and was not looked at lately.
  [[gnu::always_inline]] bool SkipPlain(std::uint8_t length) {
    if (!has_nrip_ && vmcb_.save.rip != plain_rip_) [[unlikely]]
      return false;
    Skip(length);
    return true;
  }

  // In the order in which the way through `run` touches them.
  RegisterFile registers_;
  const std::uint64_t vmcb_pa_;
  SvmKickTarget* const kick_;
  EntryWork work_;
  bool internal_ = false;
  const bool has_nrip_;
  const bool switches_all_;  // VMLOAD and VMSAVE every time
  ExitReason internal_reason_ = ExitReason::kUnknown;
  std::uint64_t exit_rip_ = 0;   // of the instruction that exited
  std::uint64_t plain_rip_ = 0;  // where one without prefixes was found
  // Exits that `run` decodes by itself.
  std::uint64_t hypercalls_ = 0;
  std::uint64_t cpuids_ = 0;

  SvmVmParts& parts_;
  SvmEvents events_;
  ExitCompletion completion_;
  std::uint64_t exits_ = 0;  // the others
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
  alignas(kPageBytes) Vmcb vmcb_;
};

[[gnu::always_inline]] inline Exit SvmVcpu::run() {
  // Nothing to do before the entry, and nothing behind the exit: what there is
  // was asked for before.
  if (work_.any() || (registers_.wanted | registers_.dirty) != 0) [[unlikely]]
    return RunWithWork();
  GeneralRegisters& general = registers_.general;
  vmcb_.save.rax = general.rax;
  if (ClgiAndTest(kick_->word())) [[unlikely]]
    return Interrupted();
  Switch(&general, vmcb_pa_);
  general.rax = vmcb_.save.rax;
  registers_.cached = kNoRegisters;
  internal_ = false;
  // Neither of these exits during the delivery of an event.
  const std::uint64_t code = vmcb_.control.exit_code;
  if (code == static_cast<std::uint64_t>(SvmExitCode::kCpuid) &&
      SkipPlain(kCpuidBytes)) {
    ++cpuids_;
    return CpuidAnswered();
  }
  if (code == static_cast<std::uint64_t>(SvmExitCode::kVmmcall) &&
      SkipPlain(kVmmcallBytes)) {
    ++hypercalls_;
    return HypercallExit();
  }
  return FinishExit();
}

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VCPU_H_
