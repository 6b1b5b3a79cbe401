#include "backends/vmx_intel/native/vmx_timer.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kRateMask = 0x1f;  // of IA32_VMX_MISC
constexpr std::uint64_t kHighest = 0xffff'ffff;

}  // namespace

void VmxTimer::Create(const VmxCapabilities& capabilities,
                      std::uint64_t ticks) {
  exists_ = capabilities.Controls(VmxControlGroup::kPinBased)
                .MayBe1(vmx::kPinPreemptionTimer);
  shift_ = static_cast<unsigned>(capabilities.Value(VmxMsr::kMisc) & kRateMask);
  every_ = exists_ ? Count(ticks) : 0;
}

std::uint64_t VmxTimer::Count(std::uint64_t ticks) const {
  const std::uint64_t rest = ticks & ((std::uint64_t{1} << shift_) - 1);
  const std::uint64_t count = (ticks >> shift_) + (rest != 0 ? 1 : 0);
  return count < kHighest ? count : kHighest;
}

std::uint64_t VmxTimer::Shortest() const {
  std::uint64_t shortest = 0;
  for (const std::uint64_t count : {every_, once_, limit_}) {
    if (count != 0 && (shortest == 0 || count < shortest)) shortest = count;
  }
  return shortest;
}

bool VmxTimer::Write() {
  if (!exists_) return false;
  const std::uint64_t shortest = Shortest();
  words_.Set(VmxControlWord::kPin, vmx::kPinPreemptionTimer, shortest != 0);
  if (shortest != 0 && shortest != written_) {
    vmcs_.Write(VmcsField::kPreemptionTimer, shortest);
    written_ = shortest;
  }
  return once_ != 0;
}

}  // namespace worldswitch
