#include "native/page_checks.h"

#include <cstddef>
#include <cstdint>

#include "core/features/processor_controls.h"
#include "core/text_line.h"
#include "guests/guests.h"
#include "guests/layout.h"
#include "guests/page_window.h"
#include "native/guest_measurement.h"
#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

// next: mov %eax, (%rbx); out %al, $WS_PORT_TEST; jmp next
constexpr std::uint8_t kStore[] = {0x89, 0x03, 0xe6, WS_PORT_TEST, 0xeb, 0xfa};

constexpr struct {
  NestedPageState state;
  const char* name;
  ExitReason reason;  // of the store
} kStates[] = {
    {NestedPageState::kReadOnly, "read_only", ExitReason::kPageFault},
    {NestedPageState::kNotPresent, "not_present", ExitReason::kPageFault},
    {NestedPageState::kMisconfigured, "misconfigured", ExitReason::kMmio},
};

// One VM, and a guest in it that stores to one address.
class PageChecker {
 public:
  PageChecker(VmMaker& maker, CheckSink& sink, const char* where)
      : maker_(maker), sink_(sink), where_(where) {
    const char* why = "no VM";
    vm_ = maker.Make({.memory_bytes = WS_MEMORY_BYTES}, nullptr, &why);
    controls_ = vm_ != nullptr ? FeatureOf<ProcessorControls>(*vm_) : nullptr;
    if (controls_ == nullptr) Report("vm", CheckVerdict::kFailed, why);
  }
  ~PageChecker() {
    if (vm_ != nullptr) maker_.Destroy(vm_);
  }
  PageChecker(const PageChecker&) = delete;
  PageChecker& operator=(const PageChecker&) = delete;

  void CheckAlias(NestedPageSize size) {
    if (controls_ == nullptr) return;
    switch (controls_->map_alias(WS_TOUCH, size, &gpa_)) {
      case Result::kOk:
        break;
      case Result::kUnsupported:
        return Report("alias", CheckVerdict::kSkipped, "no such pages here");
      case Result::kError:
        return Report("alias", CheckVerdict::kFailed, "map_alias refused");
    }
    for (const auto& each : kStates) {
      if (!Enter(each.state, each.name) ||
          !ExpectStore(each.name, each.reason)) {
        continue;
      }
      // The store is made again where it faulted, and was the caller's where it
      // was a device's.
      const bool repeats = each.reason == ExitReason::kPageFault;
      if (controls_->set_nested_page(gpa_, NestedPageState::kMapped) !=
          Result::kOk) {
        Report(each.name, CheckVerdict::kFailed, "it cannot be mapped again");
        continue;
      }
      if (RunsToOut(each.name)) {
        const bool stored = Load(WS_TOUCH) == value_;
        Report(
            each.name,
            stored == repeats ? CheckVerdict::kPassed : CheckVerdict::kFailed,
            stored ? "the store is in memory" : "memory is as it was");
      }
    }
  }

  void CheckHole() {
    if (controls_ == nullptr) return;
    gpa_ = WS_MMIO_HOLE;
    for (const auto& each : {kStates[2], kStates[1]}) {
      if (Enter(each.state, each.name) &&
          ExpectStore(each.name, ExitReason::kMmio) && RunsToOut(each.name)) {
        Report(each.name, CheckVerdict::kPassed, "a device's");
      }
    }
    const bool refused =
        controls_->set_nested_page(gpa_, NestedPageState::kReadOnly) ==
        Result::kError;
    Report("read_only", refused ? CheckVerdict::kPassed : CheckVerdict::kFailed,
           "nothing is there to be read");
  }

 private:
  std::uint32_t Load(std::uint64_t gpa) {
    std::uint32_t value = 0;
    __builtin_memcpy(&value, vm_->memory().At(gpa, sizeof(value)),
                     sizeof(value));
    return value;
  }

  bool Enter(NestedPageState state, const char* name) {
    VcpuOps& vcpu = vm_->vcpu(0);
    if (LoadCode(*vm_, 0, GuestMode::kRing0, kStore, sizeof(kStore)) !=
        Result::kOk) {
      Report(name, CheckVerdict::kFailed, "the guest cannot be loaded");
      return false;
    }
    RegisterFile& file = vcpu.registers();
    file.general.rax = ++value_;
    file.general.rbx = LeadWindowTo(vm_->memory().At(0, WS_MEMORY_BYTES), gpa_);
    file.dirty |= kGeneralRegisters;
    const Result result = controls_->set_nested_page(gpa_, state);
    if (result == Result::kOk) return true;
    const bool lacks = result == Result::kUnsupported;
    Report(name, lacks ? CheckVerdict::kSkipped : CheckVerdict::kFailed,
           lacks ? "no such pages here" : "set_nested_page refused");
    return false;
  }

  Exit Run() {
    // The host's interrupts may come in between, and then end.
    constexpr int kMostResumed = 100;
    VcpuOps& vcpu = vm_->vcpu(0);
    const KickHandle handle = vcpu.kick_handle();
    for (int i = 0;; ++i) {
      run_guard.Begin(handle);
      const Exit exit = vcpu.run();
      run_guard.End();
      if (!BackendResumes(vcpu, exit) || i == kMostResumed) return exit;
    }
  }

  bool ExpectStore(const char* name, ExitReason reason) {
    const Exit exit = Run();
    if (exit.reason == reason &&
        (reason == ExitReason::kMmio
             ? exit.mmio.gpa == gpa_ && exit.mmio.is_write &&
                   exit.mmio.length == sizeof(value_)
             : exit.page_fault.gpa == gpa_)) {
      return true;
    }
    ReportExit(name, ExitReasonName(reason), exit);
    return false;
  }

  bool RunsToOut(const char* name) {
    const Exit exit = Run();
    if (exit.reason == ExitReason::kIo && exit.io.port == WS_PORT_TEST) {
      return true;
    }
    ReportExit(name, "the OUT behind the store", exit);
    return false;
  }

  void ReportExit(const char* name, const char* expected, const Exit& exit) {
    TextLine text;
    text.Append("expected ").Append(expected).Append(", seen ");
    DescribeExit(exit, &text);
    Report(name, CheckVerdict::kFailed, text.c_str());
  }

  void Report(const char* name, CheckVerdict verdict, const char* text) {
    TextLine full;
    full.Append("page.").Append(where_).Append(".").Append(name);
    sink_.Check(full.c_str(), verdict, text);
  }

  VmMaker& maker_;
  CheckSink& sink_;
  const char* const where_;
  NativeVm* vm_ = nullptr;
  ProcessorControls* controls_ = nullptr;
  std::uint64_t gpa_ = 0;
  std::uint32_t value_ = 0x5752'4c44;
};

}  // namespace

void RunPageChecks(VmMaker& maker, CheckSink& sink) {
  PageChecker(maker, sink, "4kib").CheckAlias(NestedPageSize::k4KiB);
  PageChecker(maker, sink, "2mib").CheckAlias(NestedPageSize::k2MiB);
  PageChecker(maker, sink, "1gib").CheckAlias(NestedPageSize::k1GiB);
  PageChecker(maker, sink, "hole").CheckHole();
}

}  // namespace worldswitch::native
