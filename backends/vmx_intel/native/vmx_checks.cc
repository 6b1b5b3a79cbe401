// Every class of bad control, host state and guest state, written into a VMCS
// on purpose: that the entry fails, with the failure's own name, and that the
// same vCPU runs its guest afterwards.

#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_instruction_checks.h"
#include "backends/vmx_intel/native/vmx_vcpu_checks.h"
#include "backends/vmx_intel/native/vmx_vm.h"
#include "guests/guests.h"
#include "native/checks.h"

namespace worldswitch {
namespace {

using How = VmxCheckWrite::How;

// HLT, and back to it: the same bytes in every mode.
constexpr std::uint8_t kGuestCode[] = {0xf4, 0xeb, 0xfd};

constexpr std::uint64_t kBeyondMemory = std::uint64_t{1} << 51;

bool Equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

TextLine TextOf(const VmxCheckOutcome& outcome) {
  if (outcome.kind == VmxEntryFailure::Kind::kNone) {
    return TextLine().Append("an entry");
  }
  return TextOf(
      VmxEntryFailure{.kind = outcome.kind,
                      .instruction_error = outcome.number,
                      .exit_reason = static_cast<std::uint32_t>(outcome.number),
                      .qualification = outcome.qualification});
}

VmxCheckOutcome OutcomeOf(const VmxEntryFailure& failure) {
  const bool late = failure.kind == VmxEntryFailure::Kind::kEntryFailed;
  return {.kind = failure.kind,
          .number =
              static_cast<std::uint16_t>(late ? BasicReason(failure.exit_reason)
                                              : failure.instruction_error),
          .qualification = static_cast<std::uint16_t>(failure.qualification)};
}

// Counts the lines that it is given, and keeps the first.
class LineCounter {
 public:
  LineCounter() {
    services_.context = this;
    services_.log = [](void* context, const char* line) {
      auto& counter = *static_cast<LineCounter*>(context);
      if (counter.lines_++ == 0) counter.first_.Append(line);
    };
  }
  const HostServices& services() const { return services_; }
  std::size_t lines() const { return lines_; }
  const char* first() const { return first_.c_str(); }

 private:
  HostServices services_;
  std::size_t lines_ = 0;
  TextLine first_;
};

class VmxChecker {
 public:
  VmxChecker(NativeBackend& backend, const HostServices& host, CheckSink& sink)
      : backend_(backend), sink_(sink), page_(host, 1) {}
  ~VmxChecker() {
    if (vm_ != nullptr) backend_.DestroyVm(vm_);
  }

  void Run() {
    if (!page_) {
      sink_.Check("failures", CheckVerdict::kFailed, "no page left");
      return;
    }
    WriteMsrList();
    for (const VmxCheckGuest guest :
         {VmxCheckGuest::kReal, VmxCheckGuest::kVirtual8086,
          VmxCheckGuest::kLong}) {
      CheckUnharmed(guest);
    }
    CheckDump();
    for (const auto& cases : {VmxControlCases(), VmxHostCases(),
                              VmxGuestCases(), VmxSegmentCases()}) {
      for (const VmxCheckCase& check : cases) RunCase(check);
    }
  }

 private:
  struct Saved {
    VmcsField field = {};
    std::uint64_t value = 0;
  };

  // A VM with nothing wrong. False: there is none.
  bool MakeVm() {
    if (vm_ != nullptr) return true;
    const char* why = "";
    const NativeKnobValues knobs(backend_.knobs());
    vm_ = static_cast<VmxVm*>(
        backend_.CreateVm({.memory_bytes = WS_MEMORY_BYTES}, knobs, &why));
    if (vm_ == nullptr) sink_.Check("failures", CheckVerdict::kFailed, why);
    return vm_ != nullptr;
  }
  void DropVm() {
    backend_.DestroyVm(vm_);
    vm_ = nullptr;
  }
  VmxVcpu& vcpu() { return vm_->vmx_vcpu(0); }

  bool Load(VmxCheckGuest guest) {
    const GuestMode mode =
        guest == VmxCheckGuest::kLong ? GuestMode::kRing0 : GuestMode::kReal;
    if (LoadCode(*vm_, 0, mode, kGuestCode, sizeof(kGuestCode)) !=
        Result::kOk) {
      return false;
    }
    vcpu().MakeCurrent();
    Vmcs& vmcs = vcpu().vmcs();
    // What a guest that ran before may have left.
    vmcs.Write(VmcsField::kGuestInterruptibility, 0);
    vmcs.Write(VmcsField::kGuestActivity, 0);
    vmcs.Write(VmcsField::kGuestPendingDebug, 0);
    if (guest != VmxCheckGuest::kVirtual8086) return true;
    constexpr std::uint64_t kRights = 0xf3;
    constexpr std::uint64_t kVirtual8086 = 1u << 17;
    vmcs.Write(VmcsField::kGuestCr0,
               vmcs.Read(VmcsField::kGuestCr0) | x86::kCr0Pe);
    vmcs.Write(VmcsField::kGuestRflags,
               vmcs.Read(VmcsField::kGuestRflags) | kVirtual8086);
    for (const VmcsSegment segment :
         {VmcsSegment::kEs, VmcsSegment::kCs, VmcsSegment::kSs,
          VmcsSegment::kDs, VmcsSegment::kFs, VmcsSegment::kGs}) {
      vmcs.Write(SegmentField(VmcsField::kGuestEsAccessRights, segment),
                 kRights);
    }
    return true;
  }

  // Three lists of the entry's MSR-load area, at 0x100, 0x200 and 0x300: one
  // whose first entry an entry may not load; one whose second; one whose first
  // has reserved bits ("Loading MSRs").
  void WriteMsrList() {
    constexpr std::uint64_t kFsBase = 0xc0000100;
    constexpr std::uint64_t kSysenterCs = 0x174;
    auto* page = page_.as<std::uint64_t>();
    page[0x100 / 8] = kFsBase;
    page[0x200 / 8] = kSysenterCs;
    page[0x210 / 8] = kFsBase;
    page[0x300 / 8] = kSysenterCs | std::uint64_t{1} << 32;
  }

  // The controls that the CPU allows in that field, by its word.
  VmxControls ControlsOf(VmcsField field) const {
    for (std::size_t i = 0; i < kVmxControlWords; ++i) {
      const auto word = static_cast<VmxControlWord>(i);
      if (FieldOf(word) == field) {
        return vm_->capabilities().Controls(GroupOf(word));
      }
    }
    return {};
  }

  // What a write makes of the field. False: nothing that would be wrong on
  // this CPU.
  bool ValueOf(const VmxCheckWrite& write, std::uint64_t before,
               std::uint64_t* value) const {
    const auto field = static_cast<VmcsField>(write.field);
    switch (write.how) {
      case How::kNothing:
        return false;
      case How::kSet:
        *value = write.value();
        return true;
      case How::kSetBits:
        *value = before | write.value();
        return true;
      case How::kClearBits:
        *value = before & ~write.value();
        return true;
      case How::kSetPage:
        *value = page_.physical() + write.value();
        return true;
      case How::kBeyondMemory:
        *value = kBeyondMemory | write.value();
        return true;
      case How::kClearRequired: {
        const std::uint64_t required =
            ControlsOf(field).must_be_1 & 0xffff'ffff;
        *value = before & ~(required & (std::uint64_t{0} - required));
        return required != 0;
      }
      case How::kSetForbidden: {
        const std::uint64_t forbidden =
            ~ControlsOf(field).may_be_1 & 0xffff'ffff;
        *value = before | (forbidden & (std::uint64_t{0} - forbidden));
        return forbidden != 0;
      }
    }
    return false;
  }

  // One entry. *text: what came of it beside the outcome.
  VmxCheckOutcome Enter(Exit* exit) {
    *exit = vcpu().run();
    if (exit->reason != ExitReason::kEntryFailure) return {};
    return OutcomeOf(vcpu().failure());
  }

  void CheckUnharmed(VmxCheckGuest guest) {
    constexpr const char* kNames[] = {"entered.real", "entered.virtual_8086",
                                      "entered.long"};
    const char* name = kNames[static_cast<std::size_t>(guest)];
    if (!MakeVm()) return;
    if (!Load(guest)) {
      sink_.Check(name, CheckVerdict::kFailed, "the guest cannot be loaded");
      return;
    }
    Exit exit;
    const VmxCheckOutcome seen = Enter(&exit);
    TextLine text;
    text.Append("nothing is wrong: ").Append(TextOf(seen).c_str());
    sink_.Check(name,
                seen == VmxCheckOutcome{} ? CheckVerdict::kPassed
                                          : CheckVerdict::kFailed,
                text.c_str());
    if (guest == VmxCheckGuest::kVirtual8086) DropVm();
  }

  // A failed entry is explained: its name first, then the fields.
  void CheckDump() {
    constexpr std::size_t kFieldsOfAnyCpu = 100;
    constexpr const char* kName = "failure.dump";
    if (!MakeVm() || !Load(VmxCheckGuest::kLong)) return;
    Vmcs& vmcs = vcpu().vmcs();
    const Saved link = {.field = VmcsField::kLinkPointer,
                        .value = vmcs.Read(VmcsField::kLinkPointer)};
    vmcs.Write(link.field, page_.physical() + 1);
    Exit exit;
    const VmxCheckOutcome seen = Enter(&exit);
    LineCounter counter;
    vm_->DumpState(0, counter.services());
    Restore(&link, 1);
    TextLine text;
    text.AppendDecimal(counter.lines())
        .Append(" lines, the first: ")
        .Append(counter.first());
    const bool good = seen.kind != VmxEntryFailure::Kind::kNone &&
                      counter.lines() > kFieldsOfAnyCpu &&
                      Equal(counter.first(), TextOf(seen).c_str());
    sink_.Check(kName, good ? CheckVerdict::kPassed : CheckVerdict::kFailed,
                text.c_str());
  }

  bool Allowed(const VmxCheckCase& check) const {
    return check.needs_field == 0 ||
           ControlsOf(static_cast<VmcsField>(check.needs_field))
               .MayBe1(check.needs_bit);
  }

  void RunCase(const VmxCheckCase& check) {
    if (!MakeVm()) return;
    if (!Load(check.guest)) {
      sink_.Check(check.name, CheckVerdict::kFailed,
                  "the guest cannot be loaded");
      return;
    }
    if (!Allowed(check)) {
      sink_.Check(check.name, CheckVerdict::kSkipped,
                  "the CPU has no such control");
      return;
    }
    constexpr unsigned kAnyErrorCode = 56;
    const std::uint64_t basic = vm_->capabilities().Value(VmxMsr::kBasic);
    if (check.of_error_codes && (basic >> kAnyErrorCode & 1) != 0) {
      sink_.Check(check.name, CheckVerdict::kSkipped,
                  "this CPU takes exceptions with or without error code");
      return;
    }
    Vmcs& vmcs = vcpu().vmcs();
    Saved saved[VmxCheckCase::kWrites];
    std::size_t count = 0;
    const char* skipped = nullptr;
    for (const VmxCheckWrite& write : check.writes) {
      if (write.how == How::kNothing) break;
      const auto field = static_cast<VmcsField>(write.field);
      std::uint64_t before = 0;
      std::uint64_t value = 0;
      if (vmcs.TryRead(field, &before) != VmxStatus::kSucceeded) {
        skipped = "the CPU has no such field";
        break;
      }
      if (!ValueOf(write, before, &value)) {
        skipped = "any setting is right on this CPU";
        break;
      }
      saved[count++] = {.field = field, .value = before};
      if (vmcs.TryWrite(field, value) != VmxStatus::kSucceeded) {
        skipped = "the CPU refuses to write the field";
        break;
      }
    }
    if (skipped != nullptr) {
      Restore(saved, count);
      sink_.Check(check.name, CheckVerdict::kSkipped, skipped);
      return;
    }
    Exit exit;
    const VmxCheckOutcome seen = Enter(&exit);
    Restore(saved, count);
    Judge(check, seen);
    // An entry that was not to be leaves a guest in who knows what state.
    if (seen == VmxCheckOutcome{}) {
      DropVm();
    } else {
      CheckGoesOn(check);
    }
  }

  // The last written first: a field may be there twice.
  void Restore(const Saved* saved, std::size_t count) {
    while (count > 0) {
      --count;
      vcpu().vmcs().Write(saved[count].field, saved[count].value);
    }
  }

  void Judge(const VmxCheckCase& check, const VmxCheckOutcome& seen) {
    TextLine text;
    if (seen == check.expected) {
      sink_.Check(check.name, CheckVerdict::kPassed, TextOf(seen).c_str());
      return;
    }
    const VmxDeviation* deviation = FindVmxDeviation(check.name);
    if (deviation != nullptr && deviation->seen == seen) {
      text.Append("seen ").Append(TextOf(seen).c_str());
      text.Append(": ").Append(deviation->reason);
      sink_.Check(check.name, CheckVerdict::kDeviates, text.c_str());
      return;
    }
    text.Append("expected ").Append(TextOf(check.expected).c_str());
    text.Append("; seen ").Append(TextOf(seen).c_str());
    sink_.Check(check.name, CheckVerdict::kFailed, text.c_str());
  }

  // The vCPU whose entry failed runs its guest.
  void CheckGoesOn(const VmxCheckCase& check) {
    Exit exit;
    if (Load(check.guest == VmxCheckGuest::kLong ? check.guest
                                                 : VmxCheckGuest::kReal)) {
      exit = vcpu().run();
      if (exit.reason == ExitReason::kHlt) return;
    }
    TextLine text;
    text.Append("afterwards expected Hlt, seen ")
        .Append(ExitReasonName(exit.reason));
    if (exit.reason == ExitReason::kEntryFailure) {
      text.Append(": ").Append(worldswitch::TextOf(vcpu().failure()).c_str());
    }
    sink_.Check(check.name, CheckVerdict::kFailed, text.c_str());
    DropVm();
  }

  NativeBackend& backend_;
  CheckSink& sink_;
  HostPages page_;
  VmxVm* vm_ = nullptr;
};

}  // namespace

void RunVmxFailureChecks(NativeBackend& backend, const HostServices& host,
                         CheckSink& sink) {
  {
    VmxChecker checker(backend, host, sink);
    checker.Run();
  }
  RunVmxInstructionChecks(backend, host, sink);
  RunVmxVcpuChecks(backend, sink);
}

}  // namespace worldswitch
