// What waits to be delivered to one vCPU: exceptions, an NMI, interrupts.
//
// Interrupts and NMIs may be posted from any thread; everything else is for the
// thread that runs the vCPU. Posting sets bits, so it coalesces as an IRR does
// (SDM 3A, "Interrupt Acceptance for Fixed Interrupts"): a vector posted twice
// before it is delivered is delivered once.
//
// Part of the contract floor: freestanding, lock-free.

#ifndef WORLDSWITCH_CORE_INTERRUPT_QUEUE_H_
#define WORLDSWITCH_CORE_INTERRUPT_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "core/vcpu_ops.h"

namespace worldswitch {

class InterruptQueue {
 public:
  // Any thread. vector: 16 to 255; others are refused with false.
  bool PostIrq(std::uint8_t vector);
  // Any thread. NMIs coalesce into one.
  void PostNmi();
  // The vCPU's thread. Holds one exception; a second one is refused with false
  // (the caller decides about #DF).
  bool PostException(const Event& event);
  // The vCPU's thread: puts back what cancel_injection gave. An exception is
  // dropped if another one waits, as PostException would refuse it.
  void Requeue(const Event& event);

  // The vCPU's thread. What is to be delivered first: the exception, the NMI,
  // then the highest vector (SDM 3A, "Priority Among Concurrent Events").
  // False: nothing waits.
  bool Peek(Event* event) const;
  // The same among the events of one kind.
  bool Peek(EventKind kind, Event* event) const;
  // The vCPU's thread. Removes what Peek gave.
  void Pop(const Event& event);
  bool empty() const {
    Event event;
    return !Peek(&event);
  }

 private:
  std::atomic<std::uint64_t> irqs_[4] = {};
  std::atomic<bool> nmi_ = false;
  bool has_exception_ = false;
  Event exception_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_INTERRUPT_QUEUE_H_
