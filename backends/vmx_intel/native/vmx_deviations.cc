// The one table of what an emulator is known to do otherwise than the manual.

#include "backends/vmx_intel/native/vmx_check_cases.h"

namespace worldswitch {

std::span<const VmxDeviation> VmxDeviations() { return {}; }

}  // namespace worldswitch
