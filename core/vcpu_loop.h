// The loop: what `vcpu_enter_guest` is to KVM, over any backend.
//
//   drain requests -> inject what waits, or ask for the window -> run ->
//   account -> handle -> enter again, or return to the caller
//
// Virtual by default (`VcpuOps`, `ExitHandler`); instantiated on final types
// the same code makes direct calls. Between two entries it allocates nothing,
// takes no lock and makes no system call.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_VCPU_LOOP_H_
#define WORLDSWITCH_CORE_VCPU_LOOP_H_

#include <atomic>
#include <cstdint>

#include "core/exit.h"
#include "core/interrupt_queue.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

enum class LoopAction : std::uint8_t {
  kResume,  // enter the guest again
  kReturn,  // leave the loop with this exit
};

// Serves exits that the backend hands on. Called on the vCPU's thread.
//
// It sees kInterrupted when a kick or a signal came and nothing was requested.
// A kick that comes after its request was served looks the same, so resume on
// it; who wants the loop to end calls VcpuContext::RequestReturn.
class ExitHandler {
 public:
  virtual LoopAction HandleExit(Exit& exit) = 0;

 protected:
  ~ExitHandler() = default;
};

// Everything the loop keeps for one vCPU beside the vCPU itself.
class VcpuContext {
 public:
  // Any thread. Makes the loop return kInterrupted at its next turn. Follow it
  // with a kick to make that turn come now.
  void RequestReturn() { Request(kReturnRequested); }
  // Any thread. Queues an interrupt or NMI; follow with a kick if the vCPU may
  // be in the guest. False: no such vector.
  bool PostIrq(std::uint8_t vector) {
    if (!queue_.PostIrq(vector)) return false;
    Request(kEventPending);
    return true;
  }
  void PostNmi() {
    queue_.PostNmi();
    Request(kEventPending);
  }
  // The vCPU's thread. Goes in before anything else that waits, but behind an
  // event that is on its way already. False: one waits already.
  bool PostException(const Event& event) {
    if (!queue_.PostException(event)) return false;
    Request(kEventPending);
    return true;
  }

  // The vCPU's thread. Exits seen by the loop since the context was made.
  std::uint64_t exits(ExitReason reason) const {
    return exits_[static_cast<std::size_t>(reason)];
  }
  const InterruptQueue& queue() const { return queue_; }
  // The vCPU's thread. Why the last injection failed; kOk if none did.
  InjectResult injection_failure() const { return injection_failure_; }

 private:
  template <typename Ops, typename Handler>
  friend Exit vcpu_enter_guest(Ops& vcpu, VcpuContext& context,
                               Handler& handler);

  static constexpr std::uint32_t kEventPending = 1;
  static constexpr std::uint32_t kReturnRequested = 2;
  // Set by the loop itself: an event was looked at, and has to wait.
  static constexpr std::uint32_t kEventWaits = 4;

  // Bits of windows_asked_.
  static constexpr std::uint8_t kIrqWindowAsked = 1;
  static constexpr std::uint8_t kNmiWindowAsked = 2;

  void Request(std::uint32_t request) {
    requests_.fetch_or(request, std::memory_order_acq_rel);
  }
  bool has_requests() const {
    return requests_.load(std::memory_order_acquire) != 0;
  }
  // Something was requested that the loop has not looked at yet.
  bool has_new_requests() const {
    return (requests_.load(std::memory_order_acquire) & ~kEventWaits) != 0;
  }
  // True: the loop is to return.
  bool TakeReturnRequest();
  // At most one injection; asks for the windows of what has to wait, and
  // withdraws those that nobody waits for any more. False: the engine refused
  // an event, see injection_failure().
  template <typename Ops>
  bool Inject(Ops& vcpu);
  template <typename Ops>
  static InjectResult InjectOne(Ops& vcpu, const Event& event);
  template <typename Ops>
  void UpdateWindows(Ops& vcpu);
  // Whether the exit is a window that the loop, and not the caller, asked for.
  bool IsOwnWindow(ExitReason reason) const {
    return (reason == ExitReason::kIrqWindow &&
            (windows_asked_ & kIrqWindowAsked) != 0) ||
           (reason == ExitReason::kNmiWindow &&
            (windows_asked_ & kNmiWindowAsked) != 0);
  }

  std::uint64_t exits_[kExitReasonCount] = {};
  InterruptQueue queue_;
  std::atomic<std::uint32_t> requests_ = 0;
  InjectResult injection_failure_ = InjectResult::kOk;
  std::uint8_t windows_asked_ = 0;
};

inline bool VcpuContext::TakeReturnRequest() {
  return (requests_.fetch_and(~kReturnRequested, std::memory_order_acq_rel) &
          kReturnRequested) != 0;
}

template <typename Ops>
InjectResult VcpuContext::InjectOne(Ops& vcpu, const Event& event) {
  switch (event.kind) {
    case EventKind::kIrq:
      return vcpu.inject_irq(event.vector);
    case EventKind::kNmi:
      return vcpu.inject_nmi();
    case EventKind::kException:
      return vcpu.inject_exception(event);
  }
  return InjectResult::kUnsupported;
}

template <typename Ops>
bool VcpuContext::Inject(Ops& vcpu) {
  // Cleared first: what is posted from here on sets it again.
  requests_.fetch_and(~(kEventPending | kEventWaits),
                      std::memory_order_acq_rel);
  constexpr EventKind kByPriority[] = {EventKind::kException, EventKind::kNmi,
                                       EventKind::kIrq};
  bool accepted_all = true;
  for (const EventKind kind : kByPriority) {
    Event event;
    if (!queue_.Peek(kind, &event)) continue;
    const InjectResult result = InjectOne(vcpu, event);
    // A blocked NMI does not hold up an interrupt: the guest may stay in its
    // NMI handler for long, with interrupts on.
    if (result == InjectResult::kBlocked && kind == EventKind::kNmi) continue;
    const bool waits =
        result == InjectResult::kBlocked || result == InjectResult::kBusy;
    if (!waits) queue_.Pop(event);
    if (!waits && result != InjectResult::kOk) {
      injection_failure_ = result;
      accepted_all = false;
    }
    break;
  }
  UpdateWindows(vcpu);
  // More waits: look again at the next turn.
  if (!queue_.empty()) Request(kEventWaits);
  return accepted_all;
}

template <typename Ops>
void VcpuContext::UpdateWindows(Ops& vcpu) {
  Event event;
  const bool irq_waits = queue_.Peek(EventKind::kIrq, &event);
  if (irq_waits || (windows_asked_ & kIrqWindowAsked) != 0) {
    vcpu.request_irq_window(irq_waits);
  }
  const bool nmi_waits = queue_.Peek(EventKind::kNmi, &event);
  if (nmi_waits || (windows_asked_ & kNmiWindowAsked) != 0) {
    vcpu.request_nmi_window(nmi_waits);
  }
  windows_asked_ = static_cast<std::uint8_t>((irq_waits ? kIrqWindowAsked : 0) |
                                             (nmi_waits ? kNmiWindowAsked : 0));
}

// Runs the vCPU until the handler says kReturn, RequestReturn was called, or
// `run` fails, and gives back the exit it ended with: kInterrupted for a return
// request; kError for a failed `run`, and with error_number 0 for a refused
// injection. kInterrupted and kRetry with nothing new requested go to the
// handler. Window exits that the loop asked for stay in the loop.
template <typename Ops, typename Handler>
Exit vcpu_enter_guest(Ops& vcpu, VcpuContext& context, Handler& handler) {
  for (;;) {
    if (context.has_requests()) [[unlikely]] {
      if (context.TakeReturnRequest()) {
        return MakeExit(ExitReason::kInterrupted);
      }
      if (!context.Inject(vcpu)) return MakeExit(ExitReason::kError);
    }
    Exit exit = vcpu.run();
    ++context.exits_[static_cast<std::size_t>(exit.reason)];
    if (!IsForHandler(exit)) [[unlikely]] {
      if (BackendResumes(vcpu, exit)) continue;
      if (exit.reason == ExitReason::kError) return exit;
      if (context.IsOwnWindow(exit.reason)) continue;
      // A kick's reason: serve it.
      const bool is_kick = exit.reason >= ExitReason::kInterrupted;
      if (is_kick && context.has_new_requests()) continue;
    }
    if (handler.HandleExit(exit) == LoopAction::kReturn) return exit;
  }
}

// The virtual instance, compiled once (core/vcpu_loop.cc).
extern template Exit vcpu_enter_guest<VcpuOps, ExitHandler>(VcpuOps&,
                                                            VcpuContext&,
                                                            ExitHandler&);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_VCPU_LOOP_H_
