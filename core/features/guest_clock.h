// The guest's clocks: KVM's paravirtual clock, and the offset and frequency of
// its TSC. Engines accept settings that they ignore, so every setting is
// checked against what the guest then reads, and the answer says which it was.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_GUEST_CLOCK_H_
#define WORLDSWITCH_CORE_FEATURES_GUEST_CLOCK_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// What became of a setting.
enum class ClockEffect : std::uint8_t {
  kTookEffect,        // the guest's clock moved as it was told
  kAcceptedNoEffect,  // the engine said yes, and the clock went on as before
  kUnproven,          // accepted; too small a change, or too disturbed to tell
  kRefused,           // the engine said no; last_error() says why
};

constexpr const char* ClockEffectName(ClockEffect effect) {
  switch (effect) {
    case ClockEffect::kTookEffect:
      return "took effect";
    case ClockEffect::kAcceptedNoEffect:
      return "accepted, no effect";
    case ClockEffect::kUnproven:
      return "accepted, unproven";
    case ClockEffect::kRefused:
      return "refused";
  }
  return "(no such effect)";
}

// No vCPU may be running, and one thread at a time calls. The TSC's settings
// borrow the vCPU for a few entries: its exit is completed first, then a few
// bytes of guest memory and its state hold a guest that executes RDTSC, and all
// of it is put back.
class GuestClock {
 public:
  static constexpr FeatureId kId = FeatureId::kGuestClock;

  // ns since the VM was made, or as set.
  virtual OptionalValue clock_ns() = 0;
  virtual ClockEffect set_clock_ns(std::uint64_t ns) = 0;

  // Ticks that the guest's TSC is ahead of the host's, as the engine tells it.
  virtual OptionalValue tsc_offset(std::uint32_t vcpu) = 0;
  // Modulo 2^64: ~0 is one tick behind. Told from no effect only if the change
  // is larger than what an entry and an exit take, so kUnproven below a few
  // 100,000 ticks.
  virtual ClockEffect set_tsc_offset(std::uint32_t vcpu,
                                     std::uint64_t offset) = 0;

  // The frequency of the guest's TSC in kHz, as the engine tells it.
  virtual OptionalValue tsc_khz(std::uint32_t vcpu) = 0;
  // Takes some milliseconds, to count ticks in. kUnproven where the change is
  // of a few percent only.
  virtual ClockEffect set_tsc_khz(std::uint32_t vcpu, std::uint32_t khz) = 0;

  // One RDTSC in the guest. kError: it could not be run (EBUSY, EINTR, EIO).
  virtual Result read_guest_tsc(std::uint32_t vcpu, std::uint64_t* tsc) = 0;

  virtual int last_error() const = 0;

 protected:
  ~GuestClock() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_GUEST_CLOCK_H_
