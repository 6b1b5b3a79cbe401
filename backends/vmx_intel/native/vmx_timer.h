// The VMX-preemption timer, which serves three: the knob (every run), one run
// that is asked for, and the limit of every run. Whichever comes first is what
// the VMCS holds (SDM 3C, "VMX-Preemption Timer").
//
// An exit does not save the timer's value, so an entry begins with the one that
// was written last: while nothing changes, nothing is written. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_TIMER_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_TIMER_H_

#include <cstdint>

#include "backends/vmx_intel/native/vmcs.h"
#include "backends/vmx_intel/native/vmx_controls.h"
#include "backends/vmx_intel/vmx_capability.h"

namespace worldswitch {

class VmxTimer {
 public:
  VmxTimer(Vmcs& vmcs, VmxControlWords& words) : vmcs_(vmcs), words_(words) {}

  // ticks: of the TSC, for every run; 0: none.
  void Create(const VmxCapabilities& capabilities, std::uint64_t ticks);
  bool exists() const { return exists_; }

  // Each takes effect with the next Write. ticks: of the TSC; 0: off.
  void ArmOnce(std::uint64_t ticks) { once_ = Count(ticks); }
  void SetLimit(std::uint64_t ticks) { limit_ = Count(ticks); }

  // What is due goes into the VMCS. True: the next run's end has to be told
  // (Disarm), since it was armed for that run.
  bool Write();
  void Disarm() { once_ = 0; }
  // Of the timer that has just run out: it was the limit's.
  bool IsLimit() const { return limit_ != 0 && limit_ == Shortest(); }

 private:
  // Of the timer: TSC ticks, at a lower rate, rounded up.
  std::uint64_t Count(std::uint64_t ticks) const;
  std::uint64_t Shortest() const;

  Vmcs& vmcs_;
  VmxControlWords& words_;
  bool exists_ = false;
  unsigned shift_ = 0;
  std::uint64_t every_ = 0;
  std::uint64_t once_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_TIMER_H_
