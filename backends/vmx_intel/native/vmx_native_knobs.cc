#include "backends/vmx_intel/native/vmx_native_knobs.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMax32 = 0xffff'ffff;

constexpr NativeKnob kKnobs[] = {
    {.name = "vpid",
     .choices = {"off", "on"},
     .default_value = 1,
     .meaning = "whether TLB entries carry the vCPU's number, so that a switch "
                "flushes nothing",
     .applied_by = "secondary processor-based control 5, VPID (0x0000)"},
    {.name = "ept_page_size",
     .choices = {"4k", "2m", "1g"},
     .default_value = 2,
     .meaning =
         "the largest EPT page, where memory is large and aligned enough",
     .applied_by = "bit 7 of EPT entries; IA32_VMX_EPT_VPID_CAP 16, 17"},
    {.name = "ept_ad",
     .choices = {"off", "on"},
     .default_value = 0,
     .meaning = "accessed and dirty flags in EPT entries",
     .applied_by = "EPT pointer (0x201A) bit 6"},
    {.name = "ack_interrupt_on_exit",
     .choices = {"off", "on"},
     .default_value = 1,
     .meaning = "an exit takes the host's interrupt from the controller; off: "
                "it stays pending and the host takes it behind the exit",
     .applied_by = "VM-exit control 15"},
    {.name = "efer_switching",
     .choices = {"off", "on"},
     .default_value = 1,
     .meaning =
         "IA32_EFER is switched; off: the guest runs with the host's SCE "
         "and NXE",
     .applied_by = "VM-exit controls 20 and 21, VM-entry control 15"},
    {.name = "pat_switching",
     .choices = {"off", "on"},
     .default_value = 1,
     .meaning = "IA32_PAT is switched; off: the guest runs with the host's",
     .applied_by = "VM-exit controls 18 and 19, VM-entry control 14"},
    {.name = "msr_bitmap",
     .choices = {"off", "all", "switched"},
     .default_value = 2,
     .meaning = "off: no bitmap, every RDMSR and WRMSR exits; all: a bitmap of "
                "ones; switched: what the VMCS switches does not exit",
     .applied_by = "primary processor-based control 28, MSR bitmaps (0x2004)"},
    {.name = "io_bitmap",
     .choices = {"off", "on"},
     .default_value = 0,
     .meaning = "every port exits: by the bitmaps, or off, unconditionally",
     .applied_by =
         "primary processor-based controls 24 and 25, 0x2000, 0x2002"},
    {.name = "exception_bitmap",
     .maximum = kMax32,
     .default_value = 0,
     .unit = "mask of vectors",
     .meaning = "exceptions of the guest that exit to the caller; #DB and #AC "
                "always exit, and are delivered",
     .applied_by = "exception bitmap (0x4004)"},
    {.name = "preemption_timer",
     .maximum = std::uint64_t{kMax32} << 5,
     .default_value = 0,
     .unit = "TSC ticks",
     .meaning = "every run exits after so many ticks; 0: off",
     .applied_by = "pin-based control 6, value 0x482E"},
    {.name = "ple_gap",
     .maximum = kMax32,
     .default_value = 0,
     .unit = "TSC ticks",
     .meaning =
         "PAUSEs closer than this are one loop; 0: no PAUSE-loop exiting",
     .applied_by = "secondary processor-based control 10, PLE_Gap (0x4020)"},
    {.name = "ple_window",
     .maximum = kMax32,
     .default_value = 4096,
     .unit = "TSC ticks",
     .meaning = "how long a PAUSE loop may take",
     .applied_by = "PLE_Window (0x4022)"},
};
static_assert(sizeof(kKnobs) / sizeof(kKnobs[0]) ==
              static_cast<std::size_t>(VmxKnob::kCount));
static_assert(static_cast<std::size_t>(VmxKnob::kCount) <= kMaxNativeKnobs);

}  // namespace

NativeKnobTable VmxNativeKnobs() {
  return {.knobs = kKnobs, .size = sizeof(kKnobs) / sizeof(kKnobs[0])};
}

}  // namespace worldswitch
