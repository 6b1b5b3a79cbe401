// ProcessorControls over the VMCB's intercepts and the nested page tables.

#include "backends/svm_amd/native/svm_vm.h"

namespace worldswitch::svm {
namespace {

// The bits that make one thing exit.
struct InterceptBits {
  std::uint16_t cr_reads = 0;
  std::uint16_t cr_writes = 0;
  std::uint32_t word1 = 0;
  std::uint32_t word2 = 0;
};

constexpr InterceptBits BitsOf(Intercept what) {
  switch (what) {
    case Intercept::kCpuid:
      return {.word1 = SvmIntercept1::kCpuid};
    case Intercept::kHypercall:
      return {.word2 = SvmIntercept2::kVmmcall};
    case Intercept::kMovToCr0:
      return {.cr_writes = 1u << 0};
    case Intercept::kMovFromCr3:
      return {.cr_reads = 1u << 3};
    case Intercept::kMovToCr3:
      return {.cr_writes = 1u << 3};
    case Intercept::kMovToCr4:
      return {.cr_writes = 1u << 4};
    case Intercept::kMovFromCr8:
      return {.cr_reads = 1u << 8};
    case Intercept::kMovToCr8:
      return {.cr_writes = 1u << 8};
    case Intercept::kMovDr:
      // They always exit; this is about who answers.
      break;
    case Intercept::kXsetbv:
      return {.word2 = SvmIntercept2::kXsetbv};
    case Intercept::kTimeStamp:
      return {.word1 = SvmIntercept1::kRdtsc, .word2 = SvmIntercept2::kRdtscp};
    case Intercept::kPause:
      return {.word1 = SvmIntercept1::kPause};
    case Intercept::kHlt:
      return {.word1 = SvmIntercept1::kHlt};
    case Intercept::kInvlpg:
      return {.word1 = SvmIntercept1::kInvlpg};
    case Intercept::kCacheControl:
      return {.word2 = SvmIntercept2::kWbinvd};
    case Intercept::kMonitorMwait:
      return {.word2 = SvmIntercept2::kMonitor | SvmIntercept2::kMwait};
    case Intercept::kCount:
      break;
  }
  return {};
}

template <typename T>
void SetBits(T& word, T bits, bool on) {
  word = static_cast<T>(on ? word | bits : word & ~bits);
}

}  // namespace

Result SvmVm::set_intercept(Intercept what, bool on) {
  const InterceptBits bits = BitsOf(what);
  if (what == Intercept::kXsetbv && parts_.lacks_xsetbv_intercept) {
    return on ? Result::kUnsupported : Result::kOk;
  }
  if (what == Intercept::kMovDr) parts_.asked_mov_dr = on;
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    VmcbControl& control = vcpus_[i]->vmcb().control;
    SetBits(control.cr_read_intercepts, bits.cr_reads, on);
    SetBits(control.cr_write_intercepts, bits.cr_writes, on);
    SetBits(control.intercepts1, bits.word1, on);
    SetBits(control.intercepts2, bits.word2, on);
    // Every PAUSE, not those that a filter lets through.
    if (what == Intercept::kPause && on) control.pause_filter_count = 0;
    vcpus_[i]->work().Touch(vcpus_[i]->vmcb(), SvmClean::kIntercepts);
  }
  return Result::kOk;
}

Result SvmVm::set_msr_intercept(std::uint32_t msr, bool reads, bool writes) {
  const Result result = msrs_.SetIntercept(msr, reads, writes);
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    vcpus_[i]->work().Touch(vcpus_[i]->vmcb(), SvmClean::kPermissionMaps);
  }
  return result;
}

Result SvmVm::set_exception_intercept(std::uint8_t vector, bool on) {
  if (vector > 31) return Result::kError;
  const std::uint32_t bit = 1u << vector;
  SetBits(parts_.asked_exceptions, bit, on);
  const auto always =
      static_cast<std::uint32_t>(Value(knobs_, SvmKnob::kExceptionBitmap));
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    SetBits(vcpus_[i]->vmcb().control.exception_intercepts, bit,
            on || (always & bit) != 0);
    vcpus_[i]->work().Touch(vcpus_[i]->vmcb(), SvmClean::kIntercepts);
  }
  return Result::kOk;
}

Result SvmVm::arm_preemption_timer(std::uint32_t /*vcpu*/,
                                   std::uint64_t /*ticks*/) {
  return Result::kUnsupported;
}

// The host's timer kicks, and its interrupt ends the guest.
Result SvmVm::set_run_limit(std::uint32_t /*vcpu*/, std::uint64_t /*ticks*/) {
  return Result::kUnsupported;
}

Result SvmVm::map_alias(std::uint64_t gpa, NestedPageSize size,
                        std::uint64_t* alias) {
  const Result result = memory_.MapAlias(gpa, size, alias);
  FlushAll();
  return result;
}

Result SvmVm::set_nested_page(std::uint64_t gpa, NestedPageState state) {
  const Result result = memory_.SetState(gpa, state);
  FlushAll();
  return result;
}

}  // namespace worldswitch::svm
