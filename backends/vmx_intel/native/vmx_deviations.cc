// The one table of what an emulator is known to do otherwise than the manual.
// A case that is not in it and differs fails; one that is in it and comes out
// in a third way fails too.

#include "backends/vmx_intel/native/vmx_check_cases.h"

namespace worldswitch {
namespace {

using namespace vmx_check;  // NOLINT: the tables' own words

constexpr VmxDeviation kDeviations[] = {
    {.name = "control.entry.to_smm",
     .seen = BadGuestState(),
     .reason = "Bochs 2.7 takes it for an entry to SMM, and fails that for "
               "SMIs that are not blocked"},
    {.name = "control.event.other_event",
     .seen = kEntered,
     .reason = "Bochs 2.7 has no monitor trap flag, and lets the event pass"},
    {.name = "control.event.interrupt_with_error_code",
     .seen = kEntered,
     .reason = "Bochs 2.7 checks no error code at all where IA32_VMX_BASIC "
               "has bit 56"},
    {.name = "control.event.error_code_in_real_mode",
     .seen = kEntered,
     .reason = "Bochs 2.7 checks no error code at all where IA32_VMX_BASIC "
               "has bit 56"},
    {.name = "guest.long_mode.without_paging",
     .seen = kEntered,
     .reason = "Bochs 2.7 looks for CR4.PAE only, not for CR0.PG"},
    {.name = "guest.debugctl.reserved",
     .seen = kEntered,
     .reason = "Bochs 2.7 does not check IA32_DEBUGCTL"},
    {.name = "guest.rip.not_canonical",
     .seen = kEntered,
     .reason = "Bochs 2.7 does not check the upper bits of a 64-bit RIP; the "
               "guest faults at its first fetch"},
    {.name = "guest.interruptibility.nmi_with_nmi",
     .seen = kEntered,
     .reason = "Bochs 2.7 does not check blocking by NMI against the injection "
               "of one"},
    {.name = "guest.pending_debug.bs_clear_with_tf",
     .seen = kEntered,
     .reason = "Bochs 2.7 does not check BS against RFLAGS.TF"},
    {.name = "guest.pending_debug.bs_set_without_tf",
     .seen = kEntered,
     .reason = "Bochs 2.7 does not check BS against RFLAGS.TF"},
    {.name = "instruction.vmcall_in_root",
     .seen = kEntered,
     .reason = "Bochs 2.7 does nothing in a VMCALL of VMX root operation"},
};

}  // namespace

std::span<const VmxDeviation> VmxDeviations() { return kDeviations; }

const VmxDeviation* FindVmxDeviation(const char* name) {
  for (const VmxDeviation& deviation : kDeviations) {
    const char* a = deviation.name;
    const char* b = name;
    while (*a != '\0' && *a == *b) {
      ++a;
      ++b;
    }
    if (*a == *b) return &deviation;
  }
  return nullptr;
}

}  // namespace worldswitch
