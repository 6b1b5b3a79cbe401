#include "backends/svm_amd/native/svm_state_rules.h"

#include "backends/svm_amd/native/svm_segments.h"
#include "backends/svm_amd/svm_exit_info.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kHigh = 0xFFFFFFFF00000000;
constexpr std::uint64_t kPages = 0xFFF;
constexpr std::uint64_t kIopmBytes = std::uint64_t{3} * 4096;
constexpr std::uint64_t kMsrpmBytes = std::uint64_t{2} * 4096;

bool LongAndPaging(const Vmcb& vmcb) {
  return (vmcb.save.efer & kEferLme) != 0 && (vmcb.save.cr0 & kCr0Pg) != 0;
}

std::uint64_t BeyondPhysical(const SvmLimits& limits) {
  return ~std::uint64_t{0} << limits.physical_bits;
}

bool BadTable(std::uint64_t base, std::uint64_t bytes,
              const SvmLimits& limits) {
  const std::uint64_t first = base & ~kPages;
  return ((first + bytes - 1) & BeyondPhysical(limits)) != 0 ||
         first + bytes < first;
}

std::uint64_t EventType(const Vmcb& vmcb) {
  return SvmInterruption::kType.Of(vmcb.control.event_injection);
}
bool HasEvent(const Vmcb& vmcb) {
  return SvmInterruption::kValid.IsSet(vmcb.control.event_injection);
}

// Encodings 2, 3 and above 7 are reserved (APM 2, 7.8.1).
bool BadPat(std::uint64_t pat) {
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t type = pat >> (8 * i) & 0xFF;
    if (type == 2 || type == 3 || type > 7) return true;
  }
  return false;
}

constexpr SvmStateRule kRules[] = {
    {"efer_svme_clear", "EFER.SVME is zero",
     [](const Vmcb& v, const SvmLimits&) {
       return (v.save.efer & kEferSvme) == 0;
     }},
    {"cr0_nw_without_cd", "CR0.CD is zero and CR0.NW is set",
     [](const Vmcb& v, const SvmLimits&) {
       return (v.save.cr0 & kCr0Cd) == 0 && (v.save.cr0 & kCr0Nw) != 0;
     }},
    {"cr0_high", "CR0[63:32] are not zero",
     [](const Vmcb& v, const SvmLimits&) { return (v.save.cr0 & kHigh) != 0; }},
    {"cr3_mbz", "an MBZ bit of CR3 is set",
     [](const Vmcb& v, const SvmLimits& limits) {
       return LongAndPaging(v) && (v.save.cr3 & BeyondPhysical(limits)) != 0;
     }},
    {"cr4_mbz", "an MBZ bit of CR4 is set",
     [](const Vmcb& v, const SvmLimits& limits) {
       return (v.save.cr4 & ~limits.cr4_bits) != 0;
     }},
    {"dr6_high", "DR6[63:32] are not zero",
     [](const Vmcb& v, const SvmLimits&) { return (v.save.dr6 & kHigh) != 0; }},
    {"dr7_high", "DR7[63:32] are not zero",
     [](const Vmcb& v, const SvmLimits&) { return (v.save.dr7 & kHigh) != 0; }},
    {"efer_mbz", "an MBZ bit of EFER is set",
     [](const Vmcb& v, const SvmLimits& limits) {
       return (v.save.efer & ~limits.efer_bits) != 0;
     }},
    {"long_mode_without_pae",
     "EFER.LME and CR0.PG are both set and CR4.PAE is zero",
     [](const Vmcb& v, const SvmLimits&) {
       return LongAndPaging(v) && (v.save.cr4 & kCr4Pae) == 0;
     }},
    {"long_mode_without_pe",
     "EFER.LME and CR0.PG are both set and CR0.PE is zero",
     [](const Vmcb& v, const SvmLimits&) {
       return LongAndPaging(v) && (v.save.cr0 & kCr0Pe) == 0;
     }},
    {"cs_long_and_default",
     "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all set",
     [](const Vmcb& v, const SvmLimits&) {
       constexpr std::uint16_t kBoth = kSvmSegmentLong | kSvmSegmentDefault;
       return LongAndPaging(v) && (v.save.cr4 & kCr4Pae) != 0 &&
              (v.save.cs.attributes & kBoth) == kBoth;
     }},
    {"vmrun_not_intercepted", "the VMRUN intercept is clear",
     [](const Vmcb& v, const SvmLimits&) {
       return (v.control.intercepts2 & SvmIntercept2::kVmrun) == 0;
     }},
    {"iopm_beyond_memory",
     "the I/O permission map reaches beyond the largest physical address",
     [](const Vmcb& v, const SvmLimits& limits) {
       return BadTable(v.control.iopm_base_pa, kIopmBytes, limits);
     }},
    {"msrpm_beyond_memory",
     "the MSR permission map reaches beyond the largest physical address",
     [](const Vmcb& v, const SvmLimits& limits) {
       return BadTable(v.control.msrpm_base_pa, kMsrpmBytes, limits);
     }},
    {"event_type_reserved", "EVENTINJ.TYPE is reserved",
     [](const Vmcb& v, const SvmLimits&) {
       return HasEvent(v) && (EventType(v) == 1 || EventType(v) > 4);
     }},
    {"event_not_an_exception",
     "EVENTINJ.TYPE is exception and the vector is none",
     [](const Vmcb& v, const SvmLimits&) {
       const std::uint64_t vector =
           SvmInterruption::kVector.Of(v.control.event_injection);
       return HasEvent(v) && EventType(v) == 3 && (vector == 2 || vector > 31);
     }},
    {"asid_zero", "the guest's ASID is zero",
     [](const Vmcb& v, const SvmLimits&) { return v.control.guest_asid == 0; }},
    {"nested_cr3_mbz", "an MBZ bit of nCR3 is set",
     [](const Vmcb& v, const SvmLimits& limits) {
       return (v.control.nested_control & SvmNestedControl::kNestedPaging) !=
                  0 &&
              (v.control.nested_cr3 & BeyondPhysical(limits)) != 0;
     }},
    {"g_pat_type", "G_PAT holds a reserved memory type",
     [](const Vmcb& v, const SvmLimits&) {
       return (v.control.nested_control & SvmNestedControl::kNestedPaging) !=
                  0 &&
              BadPat(v.save.g_pat);
     }},
};

}  // namespace

SvmStateRules AllSvmStateRules() {
  return {.begin_ = kRules, .size_ = sizeof(kRules) / sizeof(kRules[0])};
}

const SvmStateRule* FirstBrokenRule(const Vmcb& vmcb, const SvmLimits& limits) {
  for (const SvmStateRule& rule : kRules) {
    if (rule.is_broken(vmcb, limits)) return &rule;
  }
  return nullptr;
}

}  // namespace worldswitch::svm
