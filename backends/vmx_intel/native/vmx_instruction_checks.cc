#include "backends/vmx_intel/native/vmx_instruction_checks.h"

#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_failure.h"
#include "backends/vmx_intel/native/vmx_vm.h"
#include "backends/vmx_intel/vmx_instruction_error.h"
#include "guests/guests.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kGuestCode[] = {0xf4, 0xeb, 0xfd};  // HLT, and again

constexpr std::uint64_t kBeyondMemory = std::uint64_t{1} << 51;
constexpr std::uint64_t kNoSuchType = 7;
constexpr auto kUnsupportedField = static_cast<VmcsField>(0x6bfe);
constexpr unsigned kMiscWriteAll = 29;
constexpr unsigned kCapInvvpid = 32;

// VM-instruction errors by number.
enum Error : std::uint64_t {
  kVmcallInRoot = 1,
  kVmclearBadAddress = 2,
  kLaunchOfLaunched = 4,
  kResumeOfClear = 5,
  kVmptrldBadAddress = 9,
  kVmptrldBadRevision = 11,
  kFieldUnsupported = 12,
  kFieldReadOnly = 13,
  kVmxonInRoot = 15,
  kBlockedByMovSs = 26,
  kInvalidOperand = 28,
};

VmxStatus VmcallInRoot() {
  bool carry = false;
  bool zero = false;
  asm volatile("vmcall" : "=@ccc"(carry), "=@ccz"(zero) : : "memory");
  return vmx::StatusOf(carry, zero);
}

// VMRESUME in the shadow of a MOV to SS. Where it enters all the same, the exit
// comes back here by the address on the stack.
VmxStatus ResumeBehindMovSs(VmxSwitchFrame* frame, bool* entered) {
  static_assert(WS_VMX_HOST_RSP == 0);
  // 0: entered, 1: VMfailValid, 2: VMfailInvalid.
  std::uint32_t outcome = 0;
  asm volatile(
      "push %%rbp\n\t"
      "lea 1f(%%rip), %%rax\n\t"
      "push %%rax\n\t"
      "mov %%rsp, (%%rdi)\n\t"
      "mov %%ss, %%eax\n\t"
      "mov %%eax, %%ss\n\t"
      "vmresume\n\t"
      "setc %%al\n\t"
      "movzbl %%al, %%eax\n\t"
      "inc %%eax\n\t"
      "pop %%rdi\n\t"
      "jmp 2f\n"
      "1:\n\t"
      "mov $0, %%eax\n"
      "2:\n\t"
      "pop %%rbp"
      : "=a"(outcome), "+D"(frame)
      :
      : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15", "cc", "memory");
  *entered = outcome == 0;
  return vmx::StatusOf(outcome == 2, outcome == 1);
}

class InstructionChecker {
 public:
  InstructionChecker(NativeBackend& backend, const HostServices& host,
                     CheckSink& sink)
      : backend_(backend), sink_(sink), page_(host, 1) {}
  ~InstructionChecker() {
    if (vm_ != nullptr) backend_.DestroyVm(vm_);
  }

  void Run() {
    const char* why = "no page left";
    const NativeKnobValues knobs(backend_.knobs());
    if (page_) {
      vm_ = static_cast<VmxVm*>(
          backend_.CreateVm({.memory_bytes = WS_MEMORY_BYTES}, knobs, &why));
    }
    if (vm_ == nullptr || !Load()) {
      sink_.Check("instruction", CheckVerdict::kFailed, why);
      return;
    }
    CheckInstructions();
    CheckFields();
    CheckInvalidations();
    CheckLaunchStates();
    CheckWithoutVmcs();
  }

 private:
  VmxVcpu& vcpu() { return vm_->vmx_vcpu(0); }
  Vmcs& vmcs() { return vcpu().vmcs(); }

  bool Load() {
    return LoadCode(*vm_, 0, GuestMode::kReal, kGuestCode,
                    sizeof(kGuestCode)) == Result::kOk;
  }

  // An instruction that has just ended with `status`, while a VMCS is current.
  void ExpectError(const char* name, Error expected, VmxStatus status) {
    TextLine text;
    const VmxDeviation* deviation = FindVmxDeviation(name);
    if (deviation != nullptr && status == VmxStatus::kSucceeded) {
      sink_.Check(
          name, CheckVerdict::kDeviates,
          text.Append("it succeeded: ").Append(deviation->reason).c_str());
      return;
    }
    if (status != VmxStatus::kFailValid) {
      Report(name, false,
             text.Append(status == VmxStatus::kSucceeded ? "it succeeded"
                                                         : "VMfailInvalid"));
      return;
    }
    const std::uint64_t seen =
        Vmcs::ReadUncounted(VmcsField::kInstructionError);
    const char* what = VmxInstructionErrorName(seen);
    text.Append("VMfailValid ")
        .AppendDecimal(seen)
        .Append(": ")
        .Append(what != nullptr ? what : "(not in the manual)");
    Report(name, seen == expected, text);
  }

  void ExpectFailInvalid(const char* name, VmxStatus status) {
    Report(
        name, status == VmxStatus::kFailInvalid,
        TextLine().Append(status == VmxStatus::kFailInvalid ? "VMfailInvalid"
                          : status == VmxStatus::kFailValid ? "VMfailValid"
                                                            : "it succeeded"));
  }

  // A run that has to be a failed entry of that error, and the one after it
  // has to be the guest's.
  void ExpectFailedEntry(const char* name, VmxEntryFailure::Kind kind,
                         std::uint64_t error) {
    const Exit exit = vcpu().run();
    const VmxEntryFailure failure = vcpu().failure();
    const bool failed = exit.reason == ExitReason::kEntryFailure &&
                        failure.kind == kind &&
                        failure.instruction_error == error;
    TextLine text;
    text.Append(exit.reason == ExitReason::kEntryFailure
                    ? TextOf(failure).c_str()
                    : ExitReasonName(exit.reason));
    const Exit next = vcpu().run();
    const bool goes_on = next.reason == ExitReason::kHlt;
    if (!goes_on) {
      text.Append("; afterwards ").Append(ExitReasonName(next.reason));
    }
    Report(name, failed && goes_on, text);
  }

  void Report(const char* name, bool good, const TextLine& text) {
    sink_.Check(name, good ? CheckVerdict::kPassed : CheckVerdict::kFailed,
                text.c_str());
  }

  void CheckInstructions() {
    vcpu().MakeCurrent();
    ExpectError("instruction.vmxon_in_root", kVmxonInRoot,
                vmx::Vmxon(page_.physical()));
    ExpectError("instruction.vmclear.unaligned", kVmclearBadAddress,
                vmx::Vmclear(page_.physical() + 1));
    ExpectError("instruction.vmclear.beyond_memory", kVmclearBadAddress,
                vmx::Vmclear(kBeyondMemory));
    ExpectError("instruction.vmptrld.unaligned", kVmptrldBadAddress,
                vmx::Vmptrld(page_.physical() + 8));
    ExpectError("instruction.vmptrld.beyond_memory", kVmptrldBadAddress,
                vmx::Vmptrld(kBeyondMemory));
    // The page holds zeros.
    ExpectError("instruction.vmptrld.revision", kVmptrldBadRevision,
                vmx::Vmptrld(page_.physical()));
    ExpectError("instruction.vmcall_in_root", kVmcallInRoot, VmcallInRoot());
  }

  void CheckFields() {
    std::uint64_t value = 0;
    ExpectError("instruction.vmread.unsupported_field", kFieldUnsupported,
                vmcs().TryRead(kUnsupportedField, &value));
    ExpectError("instruction.vmwrite.unsupported_field", kFieldUnsupported,
                vmcs().TryWrite(kUnsupportedField, 0));
    if ((vm_->capabilities().Value(VmxMsr::kMisc) >> kMiscWriteAll & 1) != 0) {
      sink_.Check("instruction.vmwrite.read_only_field", CheckVerdict::kSkipped,
                  "this CPU lets software write all fields");
      return;
    }
    ExpectError("instruction.vmwrite.read_only_field", kFieldReadOnly,
                vmcs().TryWrite(VmcsField::kExitReason, 0));
  }

  void CheckInvalidations() {
    const vmx::InvalidateDescriptor nothing = {.first = 0, .second = 0};
    ExpectError("instruction.invept.type", kInvalidOperand,
                vmx::Invept(kNoSuchType, nothing));
    // An EPTP that no entry would take.
    ExpectError("instruction.invept.eptp", kInvalidOperand,
                vmx::Invept(vmx::kSingleContext,
                            {.first = kBeyondMemory, .second = 0}));
    const std::uint64_t capability =
        vm_->capabilities().Value(VmxMsr::kEptVpidCap);
    if ((capability >> kCapInvvpid & 1) == 0) {
      sink_.Check("instruction.invvpid.type", CheckVerdict::kSkipped,
                  "the CPU has no INVVPID");
      return;
    }
    ExpectError("instruction.invvpid.type", kInvalidOperand,
                vmx::Invvpid(kNoSuchType, nothing));
    ExpectError("instruction.invvpid.vpid_zero", kInvalidOperand,
                vmx::Invvpid(vmx::kSingleContext, nothing));
    ExpectError(
        "instruction.invvpid.reserved", kInvalidOperand,
        vmx::Invvpid(vmx::kSingleContext,
                     {.first = std::uint64_t{1} << 16 | 1, .second = 0}));
  }

  void CheckLaunchStates() {
    // Nothing has been launched yet.
    vcpu().set_launched(true);
    ExpectFailedEntry("instruction.vmresume_of_clear",
                      VmxEntryFailure::Kind::kFailValid, kResumeOfClear);
    // Now it has.
    vcpu().set_launched(false);
    ExpectFailedEntry("instruction.vmlaunch_of_launched",
                      VmxEntryFailure::Kind::kFailValid, kLaunchOfLaunched);
    // It is launched still, and RIP is behind HLT or at it.
    bool entered = false;
    const VmxStatus status = ResumeBehindMovSs(vcpu().frame(), &entered);
    if (entered) {
      Report("instruction.entry_behind_mov_ss", false,
             TextLine().Append("the guest was entered"));
    } else {
      ExpectError("instruction.entry_behind_mov_ss", kBlockedByMovSs, status);
    }
  }

  void CheckWithoutVmcs() {
    vcpu().MakeCurrent();
    vmcs().Clear();
    std::uint64_t value = 0;
    ExpectFailInvalid("instruction.vmread.no_vmcs",
                      vmcs().TryRead(VmcsField::kExitReason, &value));
    ExpectFailInvalid("instruction.vmwrite.no_vmcs",
                      vmcs().TryWrite(VmcsField::kGuestRip, 0));
    ExpectFailInvalid("instruction.vmptrld.no_vmcs",
                      vmx::Vmptrld(page_.physical() + 1));
    // The launch state is clear now.
    vcpu().set_launched(false);
    ExpectFailedEntry("instruction.vmlaunch.no_vmcs",
                      VmxEntryFailure::Kind::kFailInvalid, 0);
    vcpu().MakeCurrent();
    vmcs().Clear();
    vcpu().set_launched(true);
    ExpectFailedEntry("instruction.vmresume.no_vmcs",
                      VmxEntryFailure::Kind::kFailInvalid, 0);
  }

  NativeBackend& backend_;
  CheckSink& sink_;
  HostPages page_;
  VmxVm* vm_ = nullptr;
};

}  // namespace

void RunVmxInstructionChecks(NativeBackend& backend, const HostServices& host,
                             CheckSink& sink) {
  InstructionChecker checker(backend, host, sink);
  checker.Run();
}

}  // namespace worldswitch
