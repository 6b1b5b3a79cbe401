#include "core/exit.h"

namespace worldswitch {

const char* ExitReasonName(ExitReason reason) {
  switch (reason) {
    case ExitReason::kUnknown:
      return "Unknown";
    case ExitReason::kIo:
      return "Io";
    case ExitReason::kMmio:
      return "Mmio";
    case ExitReason::kRdmsr:
      return "Rdmsr";
    case ExitReason::kWrmsr:
      return "Wrmsr";
    case ExitReason::kHlt:
      return "Hlt";
    case ExitReason::kIrqWindow:
      return "IrqWindow";
    case ExitReason::kNmiWindow:
      return "NmiWindow";
    case ExitReason::kShutdown:
      return "Shutdown";
    case ExitReason::kHypercall:
      return "Hypercall";
    case ExitReason::kCpuid:
      return "Cpuid";
    case ExitReason::kControlRegister:
      return "ControlRegister";
    case ExitReason::kDebugRegister:
      return "DebugRegister";
    case ExitReason::kXsetbv:
      return "Xsetbv";
    case ExitReason::kCacheControl:
      return "CacheControl";
    case ExitReason::kTimeStamp:
      return "TimeStamp";
    case ExitReason::kPause:
      return "Pause";
    case ExitReason::kMonitorMwait:
      return "MonitorMwait";
    case ExitReason::kException:
      return "Exception";
    case ExitReason::kPageFault:
      return "PageFault";
    case ExitReason::kPreemptionTimer:
      return "PreemptionTimer";
    case ExitReason::kExternalInterrupt:
      return "ExternalInterrupt";
    case ExitReason::kNmi:
      return "Nmi";
    case ExitReason::kDebug:
      return "Debug";
    case ExitReason::kSetTpr:
      return "SetTpr";
    case ExitReason::kTprAccess:
      return "TprAccess";
    case ExitReason::kIoapicEoi:
      return "IoapicEoi";
    case ExitReason::kApReset:
      return "ApReset";
    case ExitReason::kSystemEvent:
      return "SystemEvent";
    case ExitReason::kWatchdog:
      return "Watchdog";
    case ExitReason::kDirtyRingFull:
      return "DirtyRingFull";
    case ExitReason::kBusLock:
      return "BusLock";
    case ExitReason::kNotify:
      return "Notify";
    case ExitReason::kMemoryFault:
      return "MemoryFault";
    case ExitReason::kHyperv:
      return "Hyperv";
    case ExitReason::kXen:
      return "Xen";
    case ExitReason::kOtherArchitecture:
      return "OtherArchitecture";
    case ExitReason::kInternalError:
      return "InternalError";
    case ExitReason::kEntryFailure:
      return "EntryFailure";
    case ExitReason::kInterrupted:
      return "Interrupted";
    case ExitReason::kRetry:
      return "Retry";
    case ExitReason::kError:
      return "Error";
    case ExitReason::kCount:
      break;
  }
  return "(no such reason)";
}

}  // namespace worldswitch
