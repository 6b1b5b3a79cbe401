#include "core/vm_ops.h"

namespace worldswitch {

const char* CapabilityName(Capability capability) {
  switch (capability) {
    case Capability::kIrqInjection:
      return "irq_injection";
    case Capability::kIrqWindow:
      return "irq_window";
    case Capability::kNmiInjection:
      return "nmi_injection";
    case Capability::kExceptionInjection:
      return "exception_injection";
    case Capability::kCounters:
      return "counters";
    case Capability::kDiscardMemory:
      return "discard_memory";
    case Capability::kConcurrentVcpus:
      return "concurrent_vcpus";
    case Capability::kSharedTimeStamp:
      return "shared_time_stamp";
    case Capability::kCount:
      break;
  }
  return "(no such capability)";
}

const char* CounterName(Counter counter) {
  switch (counter) {
    case Counter::kExits:
      return "exits";
    case Counter::kIoExits:
      return "io_exits";
    case Counter::kMmioExits:
      return "mmio_exits";
    case Counter::kHaltExits:
      return "halt_exits";
    case Counter::kIrqWindowExits:
      return "irq_window_exits";
    case Counter::kSignalExits:
      return "signal_exits";
    case Counter::kExternalIrqExits:
      return "irq_exits";
    case Counter::kHypercalls:
      return "hypercalls";
    case Counter::kInstructionsEmulated:
      return "insn_emulation";
    case Counter::kIrqInjections:
      return "irq_injections";
    case Counter::kNmiInjections:
      return "nmi_injections";
    case Counter::kPageFaultsTaken:
      return "pf_taken";
    case Counter::kPageFaultsFixed:
      return "pf_fixed";
    case Counter::kTlbFlushes:
      return "tlb_flush";
    case Counter::kHaltPollSuccesses:
      return "halt_successful_poll";
    case Counter::kCount:
      break;
  }
  return "(no such counter)";
}

}  // namespace worldswitch
