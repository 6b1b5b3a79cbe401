#include "backends/svm_amd/native/svm_native_knobs.h"

namespace worldswitch::svm {
namespace {

constexpr NativeKnob kKnobs[] = {
    {.name = "npt_page_size",
     .choices = {"4k", "2m", "1g"},
     .default_value = 1,
     .unit = "page",
     .meaning = "largest nested page that memory is mapped with, where it is "
                "large enough and aligned",
     .applied_by = "nested page tables (nCR3), PS bit"},
    {.name = "vmload",
     .choices = {"lazy", "every_exit"},
     .default_value = 0,
     .unit = "",
     .meaning = "FS, GS, TR, LDTR and the system-call MSRs: the guest's stay "
                "until another one needs the place, or go and come each time",
     .applied_by = "VMLOAD, VMSAVE"},
    {.name = "clean_bits",
     .choices = {"off", "on"},
     .default_value = 1,
     .unit = "",
     .meaning = "tell the processor which parts of the VMCB are as it left "
                "them; without VmcbClean they are always off",
     .applied_by = "VMCB clean bits, 0C0h"},
    {.name = "tlb_flush",
     .choices = {"asid", "all", "asid_always", "all_always"},
     .default_value = 0,
     .unit = "",
     .meaning = "what a flush of the guest's TLB takes, and whether every "
                "entry makes one; without FlushByAsid all of it",
     .applied_by = "TLB_CONTROL, 05Ch"},
    {.name = "v_irq",
     .choices = {"off", "on", "early"},
     .default_value = 0,
     .unit = "",
     .meaning = "an accepted interrupt goes in by V_IRQ instead of EVENTINJ; "
                "early: also while the guest cannot take it (not INJ.2), so "
                "that it needs no window",
     .applied_by = "V_IRQ, 060h bit 8"},
    {.name = "nrip",
     .choices = {"off", "on"},
     .default_value = 1,
     .unit = "",
     .meaning = "take the next instruction's address from the processor; "
                "without NRIPS it is decoded",
     .applied_by = "nRIP, 0C8h"},
    {.name = "asid",
     .minimum = 1,
     .maximum = 0xFFFF,
     .default_value = 1,
     .unit = "",
     .meaning = "address space identifier of vCPU 0; the others follow",
     .applied_by = "guest ASID, 058h"},
    {.name = "pause_filter_count",
     .minimum = 0,
     .maximum = 0xFFFF,
     .default_value = 0,
     .unit = "PAUSEs",
     .meaning = "so many PAUSEs, and the next one exits; 0: the filter is off",
     .applied_by = "PAUSE filter count, 03Eh; PAUSE intercept"},
    {.name = "pause_filter_threshold",
     .minimum = 0,
     .maximum = 0xFFFF,
     .default_value = 0,
     .unit = "cycles",
     .meaning = "a PAUSE so long after the last one starts the count anew; 0: "
                "none does",
     .applied_by = "PAUSE filter threshold, 03Ch"},
    {.name = "msr_bitmap",
     .choices = {"switched", "all", "none"},
     .default_value = 0,
     .unit = "",
     .meaning = "MSR accesses that exit: all but those to MSRs that VMLOAD "
                "switches, all, or none at all",
     .applied_by = "MSRPM, 048h; MSR_PROT intercept"},
    {.name = "io_bitmap",
     .choices = {"all", "none"},
     .default_value = 0,
     .unit = "",
     .meaning = "port accesses that exit; none: the guest has the host's ports",
     .applied_by = "IOPM, 040h; IOIO_PROT intercept"},
    {.name = "exception_bitmap",
     .minimum = 0,
     .maximum = 0xFFFFFFFF,
     .default_value = 1u << 1 | 1u << 17,
     .unit = "vectors",
     .meaning = "exceptions of the guest that exit, by bit; the backend raises "
                "them again. Without #DB and #AC a guest can keep the "
                "processor for ever",
     .applied_by = "exception intercepts, 008h"},
};
static_assert(sizeof(kKnobs) / sizeof(kKnobs[0]) ==
              static_cast<std::size_t>(SvmKnob::kCount));

}  // namespace

NativeKnobTable SvmNativeKnobs() {
  return {.knobs = kKnobs, .size = sizeof(kKnobs) / sizeof(kKnobs[0])};
}

}  // namespace worldswitch::svm
