// The guest's clocks over KVM: KVM_SET_CLOCK, KVM_VCPU_TSC_OFFSET and
// KVM_SET_TSC_KHZ, each held against what is read afterwards.
//
// An RDTSC in the guest is bracketed by two of the host's, so it is compared by
// intervals that hold however long the entry took.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_CLOCK_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_CLOCK_H_

#include <cstdint>

#include "core/features/guest_clock.h"

namespace worldswitch {

class KvmVm;

class KvmGuestClock final : public GuestClock {
 public:
  explicit KvmGuestClock(KvmVm& vm);

  OptionalValue clock_ns() override;
  ClockEffect set_clock_ns(std::uint64_t ns) override;
  OptionalValue tsc_offset(std::uint32_t vcpu) override;
  ClockEffect set_tsc_offset(std::uint32_t vcpu, std::uint64_t offset) override;
  OptionalValue tsc_khz(std::uint32_t vcpu) override;
  ClockEffect set_tsc_khz(std::uint32_t vcpu, std::uint32_t khz) override;
  Result read_guest_tsc(std::uint32_t vcpu, std::uint64_t* tsc) override;
  int last_error() const override { return last_error_; }

 private:
  // The guest read `guest` while the host's TSC was between first and last.
  struct Reading {
    std::uint64_t first;
    std::uint64_t guest;
    std::uint64_t last;
  };
  struct Rate;

  bool Fail(int error_number) {
    last_error_ = error_number;
    return false;
  }
  bool Read(std::uint32_t vcpu, Reading* reading);
  bool RunReader(std::uint32_t vcpu);
  bool MeasureRate(std::uint32_t vcpu, Rate* rate);

  KvmVm& vm_;
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_CLOCK_H_
