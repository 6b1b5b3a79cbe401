#include "backends/kvm/kvm_msr_exits.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

static_assert(kMsrInvalid == KVM_MSR_EXIT_REASON_INVAL);
static_assert(kMsrUnknown == KVM_MSR_EXIT_REASON_UNKNOWN);
static_assert(kMsrFiltered == KVM_MSR_EXIT_REASON_FILTER);
static_assert(MsrExits::kMaxRanges == KVM_MSR_FILTER_MAX_RANGES);
static_assert(MsrExits::kMaxRangeMsrs == KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8);

// Whether KVM would take it, and read no more of the bitmap than is there.
bool IsGood(const MsrFilterRange& range) {
  return range.count != 0 && range.count <= MsrExits::kMaxRangeMsrs &&
         range.allowed != nullptr && (range.reads || range.writes);
}

}  // namespace

// NOLINTNEXTLINE(readability-make-member-function-const): changes the VM
Result KvmMsrExits::exit_on(MsrExitCauses causes) {
  if (vm_.CheckExtension(KVM_CAP_X86_USER_SPACE_MSR) == 0) {
    return Result::kUnsupported;
  }
  kvm_enable_cap request = {};
  request.cap = KVM_CAP_X86_USER_SPACE_MSR;
  request.args[0] = causes;
  return ioctl(vm_.fd(), KVM_ENABLE_CAP, &request) == 0 ? Result::kOk
                                                        : Fail(errno);
}

Result KvmMsrExits::set_filter(MsrFilterDefault otherwise,
                               const MsrFilterRange* ranges,
                               std::uint32_t count) {
  if (vm_.CheckExtension(KVM_CAP_X86_MSR_FILTER) == 0) {
    return Result::kUnsupported;
  }
  if (count > kMaxRanges) return Fail(EINVAL);
  kvm_msr_filter filter = {};
  filter.flags = otherwise == MsrFilterDefault::kDeny
                     ? KVM_MSR_FILTER_DEFAULT_DENY
                     : KVM_MSR_FILTER_DEFAULT_ALLOW;
  for (std::uint32_t i = 0; i < count; ++i) {
    const MsrFilterRange& range = ranges[i];
    // KVM passes over a range of 0 MSRs, which here is a mistake.
    if (!IsGood(range)) return Fail(EINVAL);
    filter.ranges[i].flags = (range.reads ? KVM_MSR_FILTER_READ : 0u) |
                             (range.writes ? KVM_MSR_FILTER_WRITE : 0u);
    filter.ranges[i].nmsrs = range.count;
    filter.ranges[i].base = range.first;
    // KVM reads it in words of 8 bytes, and only reads.
    filter.ranges[i].bitmap =
        reinterpret_cast<__u8*>(const_cast<std::uint64_t*>(range.allowed));
  }
  return ioctl(vm_.fd(), KVM_X86_SET_MSR_FILTER, &filter) == 0 ? Result::kOk
                                                               : Fail(errno);
}

}  // namespace worldswitch
