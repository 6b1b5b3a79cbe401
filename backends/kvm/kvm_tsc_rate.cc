// KvmVm::SetTscKhz.

#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_status.h"
#include "backends/kvm/kvm_vm.h"
#include "core/features/guest_clock.h"

namespace worldswitch {
namespace {

// What is measured may be disturbed; what is so for the third time is so.
constexpr int kAttempts = 3;

absl::Status ProveOnFirstVcpu(KvmVm& vm, std::uint32_t khz,
                              const std::string& what) {
  auto* const clock = FeatureOf<GuestClock>(vm);
  const OptionalValue old = clock->tsc_khz(0);
  if (!old.known) {
    return absl::UnimplementedError(
        absl::StrCat(what, ": the engine tells no rate to compare with"));
  }
  ClockEffect effect = ClockEffect::kUnproven;
  for (int i = 0; i < kAttempts && effect == ClockEffect::kUnproven; ++i) {
    if (i != 0) {
      // The change is proven against the rate of before.
      clock->set_tsc_khz(0, static_cast<std::uint32_t>(old.value));
    }
    effect = clock->set_tsc_khz(0, khz);
  }
  switch (effect) {
    case ClockEffect::kTookEffect:
      return absl::OkStatus();
    case ClockEffect::kRefused:
      return KvmStatus(
          clock->last_error(),
          absl::StrCat(what, vm.CheckExtension(KVM_CAP_TSC_CONTROL) > 0
                                 ? ""
                                 : " (without TSC scaling in the processor KVM "
                                   "takes only rates above the host's)"));
    case ClockEffect::kAcceptedNoEffect:
      return absl::FailedPreconditionError(absl::StrCat(
          what, ": the engine accepts it, and the guest's TSC goes on at ",
          old.value, " kHz; leave tsc_khz at 0 here"));
    case ClockEffect::kUnproven:
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      what, ": what the guest reads does not tell it from the ", old.value,
      " kHz of before; take a rate that is further away"));
}

}  // namespace

absl::Status KvmVm::SetTscKhz(std::uint32_t khz) {
  if (FeatureOf<GuestClock>(*this)->tsc_khz(0).value == khz) {
    return absl::OkStatus();  // every vCPU has the rate of the first
  }
  for (const std::unique_ptr<KvmVcpu>& vcpu : vcpus_) {
    const std::string what =
        absl::StrCat("KVM_SET_TSC_KHZ of vCPU ", vcpu->id(), " to ", khz);
    if (vcpu->id() == 0) {
      // The others wait for a SIPI where there is an irqchip: only this one can
      // be asked what it reads.
      absl::Status status = ProveOnFirstVcpu(*this, khz, what);
      if (!status.ok()) return status;
      continue;
    }
    if (ioctl(vcpu->fd(), KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz)) !=
        0) {
      return KvmStatus(errno, what);
    }
    const int now = ioctl(vcpu->fd(), KVM_GET_TSC_KHZ, 0);
    if (now < 0 || static_cast<std::uint32_t>(now) != khz) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": KVM_GET_TSC_KHZ then answers ", now));
    }
  }
  shared_time_stamp_ = false;
  return absl::OkStatus();
}

}  // namespace worldswitch
