// Exits that only ring 0 hands to the caller: KVM deals with them itself, or
// has them off. Each scenario turns on what it needs.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "bench/tsc.h"
#include "core/features/processor_controls.h"
#include "guests/page_window.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kHypercallNumber = 1;
constexpr std::uint64_t kCr0Am = 1u << 18;
constexpr std::uint64_t kCr4Mce = 1u << 6;
constexpr std::uint64_t kTimerTicks = 1000;

// ---- What is turned on ----

template <Intercept what>
bool TurnOn(VmOps& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  return controls != nullptr &&
         controls->set_intercept(what, true) == Result::kOk;
}

bool TurnOnMsr(VmOps& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  return controls != nullptr &&
         controls->set_msr_intercept(kMsrTscAdjust, true, true) == Result::kOk;
}

bool TurnOnXsetbv(VmOps& vm) {
  return TurnOn<Intercept::kXsetbv>(vm) && StartXsave(vm);
}

bool MisconfigureHole(VmOps& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  return controls != nullptr &&
         controls->set_nested_page(
             WS_MMIO_HOLE, NestedPageState::kMisconfigured) == Result::kOk;
}

bool HasTimer(VmOps& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  return controls != nullptr &&
         controls->arm_preemption_timer(0, kTimerTicks) == Result::kOk;
}

// ---- The exits ----

constexpr ExitRole MeasuredIf(bool right) {
  return right ? ExitRole::kMeasured : ExitRole::kUnexpected;
}

template <ExitReason reason>
ExitRole OnReason(ExitScene&, Exit& exit) {
  return MeasuredIf(exit.reason == reason);
}

template <ExitReason reason, std::uint8_t number>
ExitRole OnMovTo(ExitScene&, Exit& exit) {
  return MeasuredIf(exit.reason == reason &&
                    exit.register_access.number == number &&
                    exit.register_access.is_write);
}

ExitRole OnCpuid(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kCpuid || exit.cpuid.leaf != 0 ||
      exit.cpuid.result == nullptr) {
    return ExitRole::kUnexpected;
  }
  __builtin_memset(exit.cpuid.result, 0, 4 * sizeof(std::uint64_t));
  return ExitRole::kMeasured;
}

ExitRole OnHypercall(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kHypercall ||
      exit.hypercall.number != kHypercallNumber) {
    return ExitRole::kUnexpected;
  }
  if (exit.hypercall.result != nullptr) *exit.hypercall.result = 0;
  return ExitRole::kMeasured;
}

ExitRole OnRdmsr(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kRdmsr || exit.msr.index != kMsrTscAdjust) {
    return ExitRole::kUnexpected;
  }
  *exit.msr.data = 0;
  return ExitRole::kMeasured;
}

ExitRole OnWrmsr(ExitScene&, Exit& exit) {
  return MeasuredIf(exit.reason == ExitReason::kWrmsr &&
                    exit.msr.index == kMsrTscAdjust);
}

// See guests/native_payloads.inc: of the three in an iteration, the flagged
// one. The control raises the flag as well, and its second stamp takes it.
ExitRole OnTimeStamp(ExitScene& scene, Exit& exit) {
  if (exit.reason != ExitReason::kTimeStamp ||
      exit.time_stamp.result == nullptr) {
    return ExitRole::kUnexpected;
  }
  *exit.time_stamp.result = ReadTsc();
  std::byte& flag = scene.memory[WS_MAILBOX_FLAG];
  const bool flagged = flag != std::byte{0};
  flag = std::byte{0};
  return flagged && !scene.control ? ExitRole::kMeasured : ExitRole::kAuxiliary;
}

ExitRole OnMisconfigured(ExitScene& scene, Exit& exit) {
  constexpr std::uint64_t kEptMisconfiguration = 49;  // basic exit reason
  constexpr std::uint64_t kReservedBit = 1u << 3;     // of EXITINFO1
  if (exit.reason != ExitReason::kMmio || exit.mmio.gpa != WS_MMIO_HOLE ||
      !exit.mmio.is_write || exit.mmio.length != 4) {
    return ExitRole::kUnexpected;
  }
  if (exit.raw == kEptMisconfiguration) return ExitRole::kMeasured;
  const OptionalValue info = scene.vcpu.exit_detail(ExitDetail::kSvmInfo1);
  return MeasuredIf(info.known && (info.value & kReservedBit) != 0);
}

ExitRole OnTimer(ExitScene& scene, Exit& exit) {
  if (IsPort(exit, WS_PORT_ARM, true)) {
    if (scene.control) return ExitRole::kAuxiliary;
    return FeatureOf<ProcessorControls>(scene.vm)->arm_preemption_timer(
               0, kTimerTicks) == Result::kOk
               ? ExitRole::kAuxiliary
               : ExitRole::kUnexpected;
  }
  if (exit.reason != ExitReason::kPreemptionTimer) return ExitRole::kUnexpected;
  scene.memory[WS_MAILBOX_FLAG] = std::byte{1};
  return ExitRole::kMeasured;
}

// ---- Page faults: one nested page, unmapped again before every touch ----

std::uint64_t Load64(const std::byte* from) {
  std::uint64_t value = 0;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

void Store64(std::byte* to, std::uint64_t value) {
  __builtin_memcpy(to, &value, sizeof(value));
}

// The byte at WS_TOUCH through a nested page of that size, where the guest's
// tables lead the window to it. ARG0 is where the guest touches it, ARG1 its
// guest-physical address.
template <NestedPageSize size>
bool PrepareNestedPage(VmOps& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  std::byte* const memory = vm.memory().At(0, WS_MEMORY_BYTES);
  std::uint64_t alias = 0;
  if (controls == nullptr || memory == nullptr ||
      controls->map_alias(WS_TOUCH, size, &alias) != Result::kOk) {
    return false;
  }
  Store64(memory + WS_MAILBOX_ARG0, LeadWindowTo(memory, alias));
  Store64(memory + WS_MAILBOX_ARG1, alias);
  return true;
}

ExitRole OnNestedPage(ExitScene& scene, Exit& exit) {
  auto* const controls = FeatureOf<ProcessorControls>(scene.vm);
  const std::uint64_t alias = Load64(scene.memory + WS_MAILBOX_ARG1);
  if (IsPort(exit, WS_PORT_ARM, true)) {
    if (scene.control) return ExitRole::kAuxiliary;
    return controls->set_nested_page(alias, NestedPageState::kNotPresent) ==
                   Result::kOk
               ? ExitRole::kAuxiliary
               : ExitRole::kUnexpected;
  }
  return MeasuredIf(exit.reason == ExitReason::kPageFault &&
                    exit.page_fault.gpa == alias &&
                    controls->set_nested_page(
                        alias, NestedPageState::kMapped) == Result::kOk);
}

// ---- The list ----

constexpr const char* kReturned = "run returns this exit once an iteration";
constexpr const char* kMsrReturned =
    "run returns this exit, with the MSR's index, once an iteration";
constexpr const char* kMoveReturned =
    "run returns this exit, with the register's number, once an iteration";
constexpr const char* kFaultReturned =
    "run returns this page fault, with its address, once an iteration";

using OnExit = ExitRole (*)(ExitScene&, Exit&);
using Prepare = bool (*)(VmOps&);

constexpr Scenario Native(const char* name, const char* summary,
                          const char* proof, Payload payload,
                          GuestModeSet modes, OnExit on_exit, Prepare prepare,
                          std::uint64_t argument0 = 0) {
  return {.name = name,
          .summary = summary,
          .proof = proof,
          .place = ScenarioPlace::kNative,
          .payload = payload,
          .modes = modes,
          .arguments = {argument0, 0},
          .on_exit = on_exit,
          .why_not = modes == (kRing0 | kRing3) ? kAboveOneMib : nullptr,
          .prepare = prepare};
}

constexpr Scenario kScenarios[] = {
    Native("native/cpuid", "CPUID leaf 0, answered by the caller", kReturned,
           Payload::k_cpuid, kAllModes, OnCpuid, TurnOn<Intercept::kCpuid>),
    Native("native/hypercall", "VMCALL on Intel, VMMCALL on AMD", kReturned,
           Payload::k_vmcall, kAllModes, OnHypercall,
           TurnOn<Intercept::kHypercall>, kHypercallNumber),
    Native("native/rdmsr", "RDMSR of IA32_TSC_ADJUST, answered by the caller",
           kMsrReturned, Payload::k_rdmsr, kPrivileged, OnRdmsr, TurnOnMsr,
           kMsrTscAdjust),
    Native("native/wrmsr", "WRMSR of 0 to IA32_TSC_ADJUST", kMsrReturned,
           Payload::k_wrmsr, kPrivileged, OnWrmsr, TurnOnMsr, kMsrTscAdjust),
    Native("native/mov_cr0", "MOV to CR0 that toggles AM", kMoveReturned,
           Payload::k_mov_cr0, kPrivileged,
           OnMovTo<ExitReason::kControlRegister, 0>,
           TurnOn<Intercept::kMovToCr0>, kCr0Am),
    Native("native/mov_cr3", "MOV to CR3 of its own value", kMoveReturned,
           Payload::k_mov_cr3, kPrivileged,
           OnMovTo<ExitReason::kControlRegister, 3>,
           TurnOn<Intercept::kMovToCr3>),
    Native("native/mov_cr4", "MOV to CR4 that toggles MCE", kMoveReturned,
           Payload::k_mov_cr4, kPrivileged,
           OnMovTo<ExitReason::kControlRegister, 4>,
           TurnOn<Intercept::kMovToCr4>, kCr4Mce),
    Native("native/mov_cr8", "MOV of 0 to CR8", kMoveReturned,
           Payload::k_mov_cr8, kRing0, OnMovTo<ExitReason::kControlRegister, 8>,
           TurnOn<Intercept::kMovToCr8>),
    Native("native/mov_dr", "MOV to DR7 that arms nothing", kMoveReturned,
           Payload::k_mov_dr, kPrivileged,
           OnMovTo<ExitReason::kDebugRegister, 7>, TurnOn<Intercept::kMovDr>),
    Native("native/xsetbv", "XSETBV of XCR0's reset value", kReturned,
           Payload::k_xsetbv, kPrivileged, OnReason<ExitReason::kXsetbv>,
           TurnOnXsetbv),
    Native("native/pause", "PAUSE, every one of them", kReturned,
           Payload::k_pause, kAllModes, OnReason<ExitReason::kPause>,
           TurnOn<Intercept::kPause>),
    Native("native/rdtsc",
           "RDTSC, answered by the caller; the stamps exit as well, so net is "
           "one round trip, and the exit and entry legs hold half a stamp's "
           "each",
           kReturned, Payload::k_rdtsc, kAllModes, OnTimeStamp,
           TurnOn<Intercept::kTimeStamp>),
    Native("native/wbinvd", "WBINVD", kReturned, Payload::k_wbinvd, kPrivileged,
           OnReason<ExitReason::kCacheControl>,
           TurnOn<Intercept::kCacheControl>),
    Native("native/mmio_misconfig",
           "a 4-byte store where a misconfigured entry says that no memory is "
           "(VMX: EPT misconfiguration; SVM: a reserved bit)",
           "run returns Mmio with its address, for that reason, once an "
           "iteration",
           Payload::k_mmio_write, kAllModes, OnMisconfigured, MisconfigureHole),
    Native("native/page_fault_4k",
           "a write to a nested page of 4 KiB that is not present; the caller "
           "maps it (batch holds the unmapping, too)",
           kFaultReturned, Payload::k_touch_again, kRing0 | kRing3,
           OnNestedPage, PrepareNestedPage<NestedPageSize::k4KiB>),
    Native("native/page_fault_2m", "the same with a nested page of 2 MiB",
           kFaultReturned, Payload::k_touch_again, kRing0 | kRing3,
           OnNestedPage, PrepareNestedPage<NestedPageSize::k2MiB>),
    Native("native/page_fault_1g", "the same with a nested page of 1 GiB",
           kFaultReturned, Payload::k_touch_again, kRing0 | kRing3,
           OnNestedPage, PrepareNestedPage<NestedPageSize::k1GiB>),
    Native("native/preemption_timer",
           "the VMX-preemption timer runs out in a loop of the guest (batch "
           "holds the 1000 ticks of waiting)",
           kReturned, Payload::k_preempted, kAllModes, OnTimer, HasTimer),
};

}  // namespace

ScenarioList NativeScenarios() { return kScenarios; }

}  // namespace worldswitch
