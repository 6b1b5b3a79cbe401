// Failures of the entry, provoked on purpose: each rule of VMRUN that can be
// broken is broken, alone, on a vCPU that ran before and has to run after. What
// the processor says is held against the rules in software; what an emulator is
// known to do otherwise stands in one table.

#include "backends/svm_amd/native/svm_instructions.h"
#include "backends/svm_amd/native/svm_processor.h"
#include "backends/svm_amd/native/svm_segments.h"
#include "backends/svm_amd/native/svm_vm.h"
#include "core/text_line.h"
#include "guests/guests.h"
#include "native/checks.h"

namespace worldswitch {
namespace svm {
namespace {

constexpr std::uint64_t kHighBit = std::uint64_t{1} << 40;
constexpr std::uint64_t kTopBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kEvent = 1u << 31;
constexpr std::uint8_t kHlt[] = {0xF4, 0xEB, 0xFD};  // 1: hlt; jmp 1b

// How a rule is broken. rule: the one that the software has to name.
struct Breach {
  const char* name;
  const char* rule;
  void (*make)(Vmcb& vmcb);
};

constexpr Breach kBreaches[] = {
    {"efer_svme_clear", "efer_svme_clear",
     [](Vmcb& v) { v.save.efer &= ~kEferSvme; }},
    {"cr0_nw_without_cd", "cr0_nw_without_cd",
     [](Vmcb& v) { v.save.cr0 |= kCr0Nw; }},
    {"cr0_high", "cr0_high", [](Vmcb& v) { v.save.cr0 |= kHighBit; }},
    {"cr3_beyond_memory", "cr3_mbz",
     [](Vmcb& v) { v.save.cr3 |= kTopBit >> 1; }},
    {"cr4_high", "cr4_mbz", [](Vmcb& v) { v.save.cr4 |= kHighBit; }},
    {"cr4_bit_15", "cr4_mbz", [](Vmcb& v) { v.save.cr4 |= 1u << 15; }},
    {"dr6_high", "dr6_high", [](Vmcb& v) { v.save.dr6 |= kHighBit; }},
    {"dr7_high", "dr7_high", [](Vmcb& v) { v.save.dr7 |= kHighBit; }},
    {"efer_high", "efer_mbz", [](Vmcb& v) { v.save.efer |= kHighBit; }},
    {"efer_bit_1", "efer_mbz", [](Vmcb& v) { v.save.efer |= 1u << 1; }},
    {"long_mode_without_pae", "long_mode_without_pae",
     [](Vmcb& v) { v.save.cr4 &= ~kCr4Pae; }},
    {"long_mode_without_pe", "long_mode_without_pe",
     [](Vmcb& v) { v.save.cr0 &= ~kCr0Pe; }},
    {"cs_long_and_default", "cs_long_and_default",
     [](Vmcb& v) { v.save.cs.attributes |= kSvmSegmentDefault; }},
    {"vmrun_not_intercepted", "vmrun_not_intercepted",
     [](Vmcb& v) { v.control.intercepts2 &= ~SvmIntercept2::kVmrun; }},
    {"iopm_beyond_memory", "iopm_beyond_memory",
     [](Vmcb& v) { v.control.iopm_base_pa = kTopBit; }},
    {"msrpm_beyond_memory", "msrpm_beyond_memory",
     [](Vmcb& v) { v.control.msrpm_base_pa = kTopBit; }},
    {"event_type_1", "event_type_reserved",
     [](Vmcb& v) { v.control.event_injection = kEvent | 1u << 8 | 0x40; }},
    {"event_type_5", "event_type_reserved",
     [](Vmcb& v) { v.control.event_injection = kEvent | 5u << 8 | 0x40; }},
    {"event_type_7", "event_type_reserved",
     [](Vmcb& v) { v.control.event_injection = kEvent | 7u << 8 | 0x40; }},
    {"event_exception_2", "event_not_an_exception",
     [](Vmcb& v) { v.control.event_injection = kEvent | 3u << 8 | 2; }},
    {"event_exception_32", "event_not_an_exception",
     [](Vmcb& v) { v.control.event_injection = kEvent | 3u << 8 | 32; }},
    {"asid_zero", "asid_zero", [](Vmcb& v) { v.control.guest_asid = 0; }},
    {"nested_cr3_mbz", "nested_cr3_mbz",
     [](Vmcb& v) { v.control.nested_cr3 |= kTopBit >> 3; }},
    {"g_pat_type", "g_pat_type", [](Vmcb& v) { v.save.g_pat = 2; }},
};

struct Deviation {
  SvmProcessor where;
  const char* check;
  bool tried;  // false: it would take the emulator down
  const char* why;
};

constexpr Deviation kDeviations[] = {
    {SvmProcessor::kQemu, "nested_cr3_mbz", true,
     "QEMU's VMRUN does not look at the MBZ bits of nCR3"},
    {SvmProcessor::kQemu, "g_pat_type", true,
     "QEMU's VMRUN does not look at G_PAT"},
    {SvmProcessor::kBochs, "long_mode_without_pe", false,
     "Bochs 2.7 panics in a guest with EFER.LMA and without CR0.PE"},
    {SvmProcessor::kBochs, "cr3_beyond_memory", true,
     "Bochs 2.7's VMRUN does not look at the MBZ bits of CR3"},
};

const Deviation* FindDeviation(SvmProcessor where, const char* check) {
  for (const Deviation& deviation : kDeviations) {
    if (deviation.where != where) continue;
    const char* a = deviation.check;
    const char* b = check;
    while (*a != '\0' && *a == *b) ++a, ++b;
    if (*a == *b) return &deviation;
  }
  return nullptr;
}

bool SameText(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

// A VM whose guest halts, again and again; every check leaves it able to.
class HaltingVm {
 public:
  HaltingVm(NativeBackend& backend, const char** why)
      : backend_(backend),
        vm_(backend.CreateVm({.memory_bytes = WS_MEMORY_BYTES, .vcpus = 1},
                             NativeKnobValues(backend.knobs()), why)) {
    if (vm_ != nullptr && LoadCode(*vm_, 0, GuestMode::kRing0, kHlt,
                                   sizeof(kHlt)) != Result::kOk) {
      *why = "the guest cannot be loaded";
      backend_.DestroyVm(vm_);
      vm_ = nullptr;
    }
  }
  ~HaltingVm() {
    if (vm_ != nullptr) backend_.DestroyVm(vm_);
  }
  HaltingVm(const HaltingVm&) = delete;
  HaltingVm& operator=(const HaltingVm&) = delete;

  bool ok() const { return vm_ != nullptr; }
  SvmVm& vm() { return static_cast<SvmVm&>(*vm_); }
  SvmVcpu& vcpu() { return vm().svm_vcpu(0); }

  // One run, through what the backend deals with by itself.
  Exit Run() {
    for (;;) {
      const Exit exit = vcpu().run();
      if (!BackendResumes(vcpu(), exit)) return exit;
    }
  }
  bool Halts() { return Run().reason == ExitReason::kHlt; }

 private:
  NativeBackend& backend_;
  NativeVm* vm_;
};

// What was expected, what was seen, and whether the vCPU goes on behind it.
void Report(CheckSink& sink, SvmProcessor where, const char* name,
            const char* expected, const char* seen, bool goes_on) {
  TextLine text;
  text.Append("expected ").Append(expected).Append(", seen ").Append(seen);
  if (!goes_on) text.Append("; the vCPU does not go on");
  const bool as_expected = SameText(expected, seen) && goes_on;
  const Deviation* const deviation = FindDeviation(where, name);
  CheckVerdict verdict =
      as_expected ? CheckVerdict::kPassed : CheckVerdict::kFailed;
  if (deviation != nullptr && goes_on) {
    if (as_expected) {
      // The table is out of date, and has to say so.
      verdict = CheckVerdict::kFailed;
      text.Append("; no deviation any more, of which the table says: ");
    } else {
      verdict = CheckVerdict::kDeviates;
      text.Append("; ");
    }
    text.Append(deviation->why);
  }
  sink.Check(TextLine().Append("entry.").Append(name).c_str(), verdict,
             text.c_str());
}

// The manual's name of what came of an entry.
TextLine NameOf(const Exit& exit, const SvmFailure& failure) {
  TextLine line;
  if (exit.reason != ExitReason::kEntryFailure) {
    line.Append("the entry, and exit ").Append(ExitReasonName(exit.reason));
    return line;
  }
  line.Append(failure.kind == SvmFailure::Kind::kInvalid ? "VMEXIT_INVALID"
                                                         : "another refusal");
  line.Append(" by ").Append(failure.rule != nullptr ? failure.rule->name
                                                     : "no known rule");
  return line;
}

void CheckBreach(NativeBackend& backend, const Breach& breach,
                 SvmProcessor where, CheckSink& sink) {
  const Deviation* const deviation = FindDeviation(where, breach.name);
  if (deviation != nullptr && !deviation->tried) {
    sink.Check(TextLine().Append("entry.").Append(breach.name).c_str(),
               CheckVerdict::kDeviates, deviation->why);
    return;
  }
  const char* why = "";
  HaltingVm halting(backend, &why);
  if (!halting.ok() || !halting.Halts()) {
    sink.Check(TextLine().Append("entry.").Append(breach.name).c_str(),
               CheckVerdict::kFailed,
               halting.ok() ? "the guest does not halt before it" : why);
    return;
  }
  SvmVcpu& vcpu = halting.vcpu();
  // Not on the stack: it is a page.
  Vmcb& vmcb = vcpu.vmcb();
  static constinit Vmcb before = {};
  before = vmcb;
  breach.make(vmcb);
  if (vmcb.control.event_injection != 0) {
    vcpu.events().SetRawEvent(vmcb.control.event_injection);
  }
  vcpu.Written();
  const Exit exit = halting.Run();
  const TextLine seen = NameOf(exit, vcpu.failure());
  // As it was: an emulator may have written to the save area all the same.
  vcpu.events().SetRawEvent(0);
  vmcb = before;
  vcpu.Written();
  vcpu.Flush();
  const bool goes_on = halting.Halts() && halting.Halts();
  Report(sink, where, breach.name,
         TextLine().Append("VMEXIT_INVALID by ").Append(breach.rule).c_str(),
         seen.c_str(), goes_on);
}

// A commit of such registers is refused before VMRUN could be asked.
void CheckCommit(NativeBackend& backend, CheckSink& sink) {
  constexpr const char* kName = "commit.long_mode_without_pae";
  const char* why = "";
  HaltingVm halting(backend, &why);
  if (!halting.ok()) {
    sink.Check(kName, CheckVerdict::kFailed, why);
    return;
  }
  SvmVcpu& vcpu = halting.vcpu();
  vcpu.fetch_registers(kAllRegisters);
  vcpu.registers().special.cr4 &= ~kCr4Pae;
  vcpu.registers().dirty = kSpecialRegisters;
  const bool refused =
      vcpu.commit_registers() == Result::kError && vcpu.last_error() != 0;
  const bool goes_on = halting.Halts();
  sink.Check(kName,
             refused && goes_on ? CheckVerdict::kPassed : CheckVerdict::kFailed,
             refused ? "refused by commit_registers; the vCPU goes on"
                     : "accepted by commit_registers");
}

// VMRUN without EFER.SVME would be #UD in the host: it is not reached.
void CheckDisabled(NativeBackend& backend, const HostServices& host,
                   CheckSink& sink) {
  constexpr const char* kName = "entry.svm_disabled";
  const char* why = "";
  HaltingVm halting(backend, &why);
  if (!halting.ok()) {
    sink.Check(kName, CheckVerdict::kFailed, why);
    return;
  }
  const bool before = halting.Halts();
  backend.Disable();
  const bool off = (ReadMsr(kMsrEfer) & kEferSvme) == 0;
  const Exit exit = halting.Run();
  const bool refused =
      exit.reason == ExitReason::kError && halting.vcpu().last_error() != 0;
  const bool enabled = backend.Enable(host, &why);
  const bool goes_on = enabled && halting.Halts();
  const bool passed = before && off && refused && goes_on;
  sink.Check(kName, passed ? CheckVerdict::kPassed : CheckVerdict::kFailed,
             TextLine()
                 .Append("EFER.SVME ")
                 .Append(off ? "clear" : "still set")
                 .Append(", run: ")
                 .Append(ExitReasonName(exit.reason))
                 .Append(goes_on ? "; enabled again, the vCPU goes on"
                                 : "; enabled again, the vCPU does not go on")
                 .c_str());
}

// VM_HSAVE_PA and EFER are as they were before Enable, once it is undone.
void CheckUndone(NativeBackend& backend, const HostServices& host,
                 CheckSink& sink) {
  backend.Disable();
  const std::uint64_t efer = ReadMsr(kMsrEfer);
  const std::uint64_t hsave = ReadMsr(kMsrVmHsavePa);
  const char* why = "";
  const bool enabled = backend.Enable(host, &why);
  const bool changed =
      (ReadMsr(kMsrEfer) & kEferSvme) != 0 && ReadMsr(kMsrVmHsavePa) != hsave;
  backend.Disable();
  const bool undone =
      ReadMsr(kMsrEfer) == efer && ReadMsr(kMsrVmHsavePa) == hsave;
  const bool again = backend.Enable(host, &why);
  const bool passed = enabled && changed && undone && again;
  sink.Check("host.enable_undone",
             passed ? CheckVerdict::kPassed : CheckVerdict::kFailed,
             TextLine()
                 .Append("EFER ")
                 .AppendHex(efer)
                 .Append(", VM_HSAVE_PA ")
                 .AppendHex(hsave)
                 .Append(undone ? ": as before" : ": not as before")
                 .c_str());
}

// SVM that somebody else has enabled is left to him.
void CheckTaken(NativeBackend& backend, const HostServices& host,
                CheckSink& sink) {
  backend.Disable();
  const std::uint64_t efer = ReadMsr(kMsrEfer);
  WriteMsr(kMsrEfer, efer | kEferSvme);
  const char* why = "";
  const bool refused = !backend.Enable(host, &why);
  const bool untouched = ReadMsr(kMsrEfer) == (efer | kEferSvme);
  const char* const text = refused ? why : "enabled all the same";
  if (!refused) backend.Disable();
  WriteMsr(kMsrEfer, efer);
  const bool again = backend.Enable(host, &why);
  sink.Check("host.svme_taken",
             refused && untouched && again ? CheckVerdict::kPassed
                                           : CheckVerdict::kFailed,
             text);
}

// The window for a second NMI opens behind the IRET of the first one's handler,
// before the guest's next instruction.
void CheckNmiWindow(NativeBackend& backend, CheckSink& sink) {
  constexpr const char* kName = "events.nmi_window_behind_iret";
  const char* why = "";
  HaltingVm halting(backend, &why);
  if (!halting.ok() || !halting.Halts()) {
    sink.Check(kName, CheckVerdict::kFailed, why);
    return;
  }
  SvmVcpu& vcpu = halting.vcpu();
  vcpu.fetch_registers(kGeneralRegisters);
  const std::uint64_t rip = vcpu.registers().general.rip;
  const std::uint64_t rflags = vcpu.registers().general.rflags;
  const bool first = vcpu.inject_nmi() == InjectResult::kOk;
  vcpu.request_nmi_window(true);
  const Exit exit = halting.Run();
  vcpu.fetch_registers(kGeneralRegisters);
  const bool at_once = vcpu.registers().general.rip == rip &&
                       vcpu.registers().general.rflags == rflags;
  const bool second = vcpu.inject_nmi() == InjectResult::kOk;
  const bool blocked = vcpu.inject_nmi() != InjectResult::kOk;
  const bool goes_on = halting.Halts() && halting.Halts();
  const bool passed = first && exit.reason == ExitReason::kNmiWindow &&
                      at_once && second && blocked && goes_on;
  sink.Check(kName, passed ? CheckVerdict::kPassed : CheckVerdict::kFailed,
             TextLine()
                 .Append("expected NmiWindow, seen ")
                 .Append(ExitReasonName(exit.reason))
                 .Append(at_once ? ", before" : ", not before")
                 .Append(" the guest's next instruction")
                 .Append(second ? "" : "; the second NMI is refused")
                 .Append(goes_on ? "" : "; the vCPU does not go on")
                 .c_str());
}

}  // namespace
}  // namespace svm

void RunSvmFailureChecks(NativeBackend& backend, const HostServices& host,
                         CheckSink& sink) {
  const svm::SvmProcessor where =
      svm::ProbeSvmProcessor(svm::ProbeSvmFeatures());
  for (const svm::Breach& breach : svm::kBreaches) {
    svm::CheckBreach(backend, breach, where, sink);
  }
  svm::CheckCommit(backend, sink);
  svm::CheckDisabled(backend, host, sink);
  svm::CheckUndone(backend, host, sink);
  svm::CheckTaken(backend, host, sink);
  svm::CheckNmiWindow(backend, sink);
}

}  // namespace worldswitch
