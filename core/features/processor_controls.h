// What only ring 0 can turn: which instructions of the guest exit, the nested
// page tables, the preemption timer; and what the switch itself reads and
// writes. Offered by the native backends.
//
//   auto* controls = FeatureOf<ProcessorControls>(vm);
//   if (controls == nullptr ||
//       controls->set_intercept(Intercept::kTimeStamp, true) != Result::kOk) {
//     return false;  // the row is unsupported
//   }
//
// Terms as in SDM 3C, chapters 25 (VM-execution controls) and 29.3 (EPT), and
// in APM 2, chapter 15 (intercepts, nested paging).
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_PROCESSOR_CONTROLS_H_
#define WORLDSWITCH_CORE_FEATURES_PROCESSOR_CONTROLS_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// What can be made to exit, by the exit that it then is (core/exit.h).
enum class Intercept : std::uint8_t {
  kCpuid,         // kCpuid. VMX: always
  kHypercall,     // kHypercall. VMX: always, VMCALL; SVM: VMMCALL
  kMovToCr0,      // kControlRegister. VMX: only a MOV that changes a bit
  kMovFromCr3,    // kControlRegister
  kMovToCr3,      // kControlRegister
  kMovToCr4,      // kControlRegister. VMX: only a MOV that changes a bit
  kMovFromCr8,    // kControlRegister
  kMovToCr8,      // kControlRegister
  kMovDr,         // kDebugRegister: all of them, both ways
  kXsetbv,        // kXsetbv. VMX: always
  kTimeStamp,     // kTimeStamp: RDTSC and RDTSCP
  kPause,         // kPause: every one, not the loop that PLE or the filter sees
  kHlt,           // kHlt
  kInvlpg,        // kUnknown: no reason of its own
  kCacheControl,  // kCacheControl: WBINVD. VMX: INVD always
  kMonitorMwait,  // kMonitorMwait: both
  kCount
};

// Of EPT or NPT.
enum class NestedPageSize : std::uint8_t { k4KiB, k2MiB, k1GiB };
constexpr std::uint64_t BytesOf(NestedPageSize size) {
  return std::uint64_t{4096} << (9 * static_cast<unsigned>(size));
}

enum class NestedPageState : std::uint8_t {
  kMapped,         // as it was made; readable, writable, executable
  kReadOnly,       // a write is a kPageFault exit
  kNotPresent,     // a touch is a kPageFault exit
  kMisconfigured,  // VMX: a touch is an EPT misconfiguration; SVM: a nested
                   // page fault for a reserved bit. kMmio, whatever the page
};

// By the one thread that runs the vCPUs, between two runs. What is set holds
// for all vCPUs of the VM from the next entry on, until it is set again. All of
// it: kUnsupported where the processor has no such control, and then nothing
// has changed; kError only where a comment says so.
class ProcessorControls {
 public:
  static constexpr FeatureId kId = FeatureId::kProcessorControls;

  // kUnsupported also for turning off what always exits. Turning on what always
  // exits is kOk. An instruction that does not exit any more is the guest's own
  // again; what it does to the host's registers is the vendor's manual's.
  virtual Result set_intercept(Intercept what, bool on) = 0;
  // The bits of the MSR bitmap (VMX) or permission map (SVM). kUnsupported for
  // turning off the exit of an MSR outside the bitmap's ranges.
  virtual Result set_msr_intercept(std::uint32_t msr, bool reads,
                                   bool writes) = 0;
  // vector: 0 to 31; the exit is kException. kError: no such vector.
  virtual Result set_exception_intercept(std::uint8_t vector, bool on) = 0;

  // The VMX-preemption timer: the next run exits with kPreemptionTimer once the
  // guest has run for `ticks` of the TSC, rounded up to the timer's rate,
  // unless another exit comes first. For that one run. SVM: kUnsupported.
  virtual Result arm_preemption_timer(std::uint32_t vcpu,
                                      std::uint64_t ticks) = 0;
  // Every run is back after about `ticks` of the TSC at the latest, with
  // kInterrupted, whatever the guest does; 0: no limit, as in a new VM. By the
  // preemption timer or by a timer interrupt of the host.
  virtual Result set_run_limit(std::uint32_t vcpu, std::uint64_t ticks) = 0;

  // Shows the byte of guest memory at `gpa` a second time, at *alias, by one
  // nested page of `size`: its other bytes are what lies around the byte in the
  // host, so the guest must leave them alone. One page of each size; made
  // again, it takes the place of the one before. Neither gpa nor *alias exceeds
  // what the VM's CPUID says of physical addresses. kUnsupported: no pages of
  // that size. kError: gpa is not guest memory, or no page for a table is left.
  virtual Result map_alias(std::uint64_t gpa, NestedPageSize size,
                           std::uint64_t* alias) = 0;
  // The nested page, of whatever size, that maps gpa; what the CPU may have
  // cached of it is invalidated. In the hole above the memory only
  // kMisconfigured, and kNotPresent, which takes it back. kError: gpa is not of
  // the VM. kUnsupported: the processor cannot express the state.
  virtual Result set_nested_page(std::uint64_t gpa, NestedPageState state) = 0;

  // VMREADs and VMWRITEs that the backend has executed for the vCPU since it
  // was made; not known where there are none (SVM).
  virtual OptionalValue vmreads(std::uint32_t vcpu) = 0;
  virtual OptionalValue vmwrites(std::uint32_t vcpu) = 0;

 protected:
  ~ProcessorControls() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_PROCESSOR_CONTROLS_H_
