// Events on their way into the guest, as a state machine (APM 2, 15.20, 15.21):
//
//   none -> accepted (in EVENTINJ, or as V_IRQ) -> entry -> delivered -> none
//                ^                                   |
//                +---- EXITINTINFO: put back --------+
//
// and the windows: VINTR for interrupts; for NMIs the end of the guest's
// handler, which IRET tells. At most one event is on its way.
//
// On the vCPU's thread, between two runs. Freestanding: it only changes the
// VMCB.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_EVENTS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_EVENTS_H_

#include <cstdint>

#include "backends/svm_amd/native/svm_entry_work.h"
#include "backends/svm_amd/native/svm_native_knobs.h"
#include "backends/svm_amd/native/vmcb.h"
#include "core/vcpu_ops.h"

namespace worldswitch::svm {

class SvmEvents {
 public:
  SvmEvents(Vmcb& vmcb, EntryWork& work, VirtualIrq virtual_irq)
      : vmcb_(vmcb), work_(work), virtual_irq_(virtual_irq) {}

  // One is on its way.
  bool busy() const { return state_ != State::kNone; }

  // allowed: RFLAGS.IF is set and no shadow is cast. INJ.1 to INJ.3, INJ.7.
  InjectResult AcceptIrq(std::uint8_t vector, bool allowed);
  // shadowed: STI or MOV SS holds it up.
  InjectResult AcceptNmi(bool shadowed);
  InjectResult AcceptException(const Event& event);
  // An exception of the guest's own, ahead of what was accepted.
  void RaiseException(const Event& event);
  // INJ.4.
  bool Cancel(Event* event);

  void RequestIrqWindow(bool wanted);
  void RequestNmiWindow(bool wanted);

  // Behind an exit at which EXITINTINFO is valid or work.after has kEvent or
  // kNmi. entered: it was no refused entry.
  void AfterExit(bool entered);
  // The exits that are its own. At the window's it is spent.
  void OnVintrExit();
  // IRET: the NMI's handler ends with it.
  void OnIretExit();
  // True: #DB is the end of the step over IRET that the NMI window asked for,
  // and the window is open.
  bool OnDebugExit();
  // True: the window was asked for and is open; the request is spent.
  bool TakeOpenNmiWindow();

  // After SHUTDOWN or new registers for a guest that starts anew.
  void Reset();

  // What is in EVENTINJ for the next entry, as the VMCB has it; 0: nothing. Kept
  // apart because a refused entry may clear the field.
  std::uint64_t raw_event() const { return raw_; }
  // For checks of the processor: whatever it is.
  void SetRawEvent(std::uint64_t raw);

  std::uint64_t irqs_injected() const { return irqs_; }
  std::uint64_t nmis_injected() const { return nmis_; }

 private:
  enum class State : std::uint8_t { kNone, kEventInj, kVirtualIrq };
  enum class Nmi : std::uint8_t { kFree, kBlocked, kAtIret, kStepping };

  void Inject(std::uint64_t raw);
  void InjectByVirtualIrq(std::uint8_t vector);
  void ArmWindow();
  void ClearVirtualIrq();
  void BlockNmis();
  void FreeNmis();
  void SetIretIntercept(bool on);
  void Count(std::uint64_t raw);

  Vmcb& vmcb_;
  EntryWork& work_;
  const VirtualIrq virtual_irq_;
  State state_ = State::kNone;
  Nmi nmi_ = Nmi::kFree;
  bool irq_window_ = false;  // asked for
  bool nmi_window_ = false;
  bool window_armed_ = false;
  bool stepped_tf_ = false;  // TF is ours
  std::uint64_t raw_ = 0;
  std::uint64_t iret_rip_ = 0;
  std::uint64_t irqs_ = 0;
  std::uint64_t nmis_ = 0;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_EVENTS_H_
