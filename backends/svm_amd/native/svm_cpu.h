// SVM on one processor: turned on and off exactly as it was found, and whose
// FS, GS, TR, LDTR and system-call MSRs the processor holds at the moment.
//
// Ring 0, one processor. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_CPU_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_CPU_H_

#include <cstdint>

#include "backends/native/host_services.h"

namespace worldswitch::svm {

// One whose state may lie in the processor between two exits.
class SvmGuestState {
 public:
  // Another one's, or the host's, has taken its place.
  virtual void StateLeft() = 0;
  virtual std::uint64_t state_pa() const = 0;  // of its VMCB

 protected:
  ~SvmGuestState() = default;
};

class SvmCpu {
 public:
  // EFER.SVME and VM_HSAVE_PA (APM 2, 15.4, 15.30.4). False: *why, and nothing
  // changed: SVM is disabled in VM_CR, somebody else uses it, or there is no
  // page.
  bool Enable(const HostServices& host, const char** why);
  // The guest's state goes out, the host's in; EFER and VM_HSAVE_PA are as they
  // were.
  void Disable();
  bool enabled() const { return enabled_; }
  // EFER.SVME, from the processor.
  bool svme() const;

  // The guest's state comes in by VMLOAD; whose was there goes out by VMSAVE.
  void Load(SvmGuestState& guest);
  // If the guest's state lies in the processor: VMSAVE, so that its VMCB has it
  // too. It stays.
  void Save(SvmGuestState& guest) const;
  // VMSAVE and then the host's own, if the guest's lies in the processor.
  void Put(SvmGuestState& guest);
  bool holds(const SvmGuestState& guest) const { return loaded_ == &guest; }
  // Where VMSAVE keeps the host's.
  std::uint64_t host_state_pa() const { return host_state_pa_; }

 private:
  // Two pages, while it is enabled: VMRUN's own behind VM_HSAVE_PA, and one in
  // the VMCB's format for VMSAVE. No HostPages: a static object of this class
  // must not need a destructor.
  const HostServices* host_ = nullptr;
  void* pages_ = nullptr;
  std::uint64_t host_state_pa_ = 0;
  std::uint64_t efer_before_ = 0;
  std::uint64_t hsave_before_ = 0;
  SvmGuestState* loaded_ = nullptr;  // null: the host's
  bool enabled_ = false;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_CPU_H_
