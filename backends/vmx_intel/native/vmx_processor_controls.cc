#include "backends/vmx_intel/native/vmx_processor_controls.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

// What exits whatever the controls say.
bool AlwaysExits(Intercept what) {
  return what == Intercept::kCpuid || what == Intercept::kHypercall ||
         what == Intercept::kXsetbv;
}

void SetBit(std::byte* bitmap, std::uint32_t bit, bool on) {
  const auto mask = static_cast<std::byte>(1u << (bit % 8));
  bitmap[bit / 8] = on ? bitmap[bit / 8] | mask : bitmap[bit / 8] & ~mask;
}

}  // namespace

bool SetMsrBits(std::byte* bitmap, std::uint32_t msr, bool reads, bool writes) {
  constexpr std::uint32_t kMsrs = 0x2000;  // in each of the two ranges
  constexpr std::uint32_t kHighFirst = 0xc0000000;
  constexpr std::size_t kHighReads = 0x400;
  constexpr std::size_t kWrites = 0x800;
  std::byte* part = bitmap;
  std::uint32_t bit = msr;
  if (msr >= kHighFirst && msr - kHighFirst < kMsrs) {
    part += kHighReads;
    bit = msr - kHighFirst;
  } else if (msr >= kMsrs) {
    return false;
  }
  SetBit(part, bit, reads);
  SetBit(part + kWrites, bit, writes);
  return true;
}

Result VmxProcessorControls::SetControl(Word word, std::uint32_t bits,
                                        bool on) {
  const VmxControls allowed = shared_.capabilities.Controls(GroupOf(word));
  const std::uint64_t possible = on ? allowed.may_be_1 : ~allowed.must_be_1;
  if (!allowed.known || (possible & bits) != bits) return Result::kUnsupported;
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    vcpus_[i].MakeCurrent();
    for (unsigned bit = 0; bit < 32; ++bit) {
      if ((bits >> bit & 1) != 0) vcpus_[i].words().Set(word, bit, on);
    }
  }
  return Result::kOk;
}

Result VmxProcessorControls::SetExitingBits(std::uint64_t* bits, bool on) {
  *bits = on ? ~std::uint64_t{0} : 0;
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    vcpus_[i].MakeCurrent();
    vcpus_[i].state().SetExitingBits(cr0_exiting_, cr4_exiting_);
  }
  return Result::kOk;
}

Result VmxProcessorControls::set_intercept(Intercept what, bool on) {
  if (AlwaysExits(what)) return on ? Result::kOk : Result::kUnsupported;
  switch (what) {
    case Intercept::kMovToCr0:
      return SetExitingBits(&cr0_exiting_, on);
    case Intercept::kMovToCr4:
      return SetExitingBits(&cr4_exiting_, on);
    case Intercept::kMovFromCr3:
      return SetControl(Word::kPrimary, ControlBit(vmx::kCr3StoreExiting), on);
    case Intercept::kMovToCr3:
      return SetControl(Word::kPrimary, ControlBit(vmx::kCr3LoadExiting), on);
    case Intercept::kMovFromCr8:
      return SetControl(Word::kPrimary, ControlBit(vmx::kCr8StoreExiting), on);
    case Intercept::kMovToCr8:
      return SetControl(Word::kPrimary, ControlBit(vmx::kCr8LoadExiting), on);
    case Intercept::kMovDr:
      return SetControl(Word::kPrimary, ControlBit(vmx::kMovDrExiting), on);
    case Intercept::kTimeStamp:
      return SetControl(Word::kPrimary, ControlBit(vmx::kRdtscExiting), on);
    case Intercept::kPause:
      return SetControl(Word::kPrimary, ControlBit(vmx::kPauseExiting), on);
    case Intercept::kHlt:
      return SetControl(Word::kPrimary, ControlBit(vmx::kHltExiting), on);
    case Intercept::kInvlpg:
      return SetControl(Word::kPrimary, ControlBit(vmx::kInvlpgExiting), on);
    case Intercept::kCacheControl:
      return SetControl(Word::kSecondary, ControlBit(vmx::kWbinvdExiting), on);
    case Intercept::kMonitorMwait:
      return SetControl(
          Word::kPrimary,
          ControlBit(vmx::kMonitorExiting) | ControlBit(vmx::kMwaitExiting),
          on);
    default:
      return Result::kUnsupported;
  }
}

Result VmxProcessorControls::set_msr_intercept(std::uint32_t msr, bool reads,
                                               bool writes) {
  const bool both = reads && writes;
  if (msr_bitmap_ == nullptr) return both ? Result::kOk : Result::kUnsupported;
  if (SetMsrBits(msr_bitmap_, msr, reads, writes) || both) return Result::kOk;
  return Result::kUnsupported;
}

Result VmxProcessorControls::set_exception_intercept(std::uint8_t vector,
                                                     bool on) {
  if (vector >= 32) return Result::kError;
  const std::uint32_t bit = 1u << vector;
  shared_.asked_exceptions =
      on ? shared_.asked_exceptions | bit : shared_.asked_exceptions & ~bit;
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    vcpus_[i].MakeCurrent();
    vcpus_[i].WriteExceptionBitmap();
  }
  return Result::kOk;
}

Result VmxProcessorControls::arm_preemption_timer(std::uint32_t vcpu,
                                                  std::uint64_t ticks) {
  if (vcpu >= vcpu_count_) return Result::kError;
  if (!vcpus_[vcpu].timer().exists()) return Result::kUnsupported;
  vcpus_[vcpu].timer().ArmOnce(ticks);
  vcpus_[vcpu].AttendTimer();
  return Result::kOk;
}

Result VmxProcessorControls::set_run_limit(std::uint32_t vcpu,
                                           std::uint64_t ticks) {
  if (vcpu >= vcpu_count_) return Result::kError;
  if (!vcpus_[vcpu].timer().exists()) return Result::kUnsupported;
  vcpus_[vcpu].timer().SetLimit(ticks);
  vcpus_[vcpu].AttendTimer();
  return Result::kOk;
}

Result VmxProcessorControls::map_alias(std::uint64_t gpa, NestedPageSize size,
                                       std::uint64_t* alias) {
  return shared_.memory.MapAlias(gpa, size, alias);
}

Result VmxProcessorControls::set_nested_page(std::uint64_t gpa,
                                             NestedPageState state) {
  return shared_.memory.SetPage(gpa, state);
}

OptionalValue VmxProcessorControls::vmreads(std::uint32_t vcpu) {
  if (vcpu >= vcpu_count_) return {};
  return {true, vcpus_[vcpu].vmreads()};
}

OptionalValue VmxProcessorControls::vmwrites(std::uint32_t vcpu) {
  if (vcpu >= vcpu_count_) return {};
  return {true, vcpus_[vcpu].vmwrites()};
}

}  // namespace worldswitch
