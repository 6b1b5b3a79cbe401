#include "core/interrupt_queue.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kFirstIrqVector = 16;

}  // namespace

bool InterruptQueue::PostIrq(std::uint8_t vector) {
  if (vector < kFirstIrqVector) return false;
  irqs_[vector / 64].fetch_or(std::uint64_t{1} << (vector % 64),
                              std::memory_order_release);
  return true;
}

void InterruptQueue::PostNmi() { nmi_.store(true, std::memory_order_release); }

bool InterruptQueue::PostException(const Event& event) {
  if (has_exception_ || event.kind != EventKind::kException) return false;
  exception_ = event;
  has_exception_ = true;
  return true;
}

void InterruptQueue::Requeue(const Event& event) {
  switch (event.kind) {
    case EventKind::kIrq:
      PostIrq(event.vector);
      break;
    case EventKind::kNmi:
      PostNmi();
      break;
    case EventKind::kException:
      PostException(event);
      break;
  }
}

bool InterruptQueue::Peek(Event* event) const {
  return Peek(EventKind::kException, event) || Peek(EventKind::kNmi, event) ||
         Peek(EventKind::kIrq, event);
}

bool InterruptQueue::Peek(EventKind kind, Event* event) const {
  switch (kind) {
    case EventKind::kException:
      if (!has_exception_) return false;
      *event = exception_;
      return true;
    case EventKind::kNmi:
      if (!nmi_.load(std::memory_order_acquire)) return false;
      *event = Event{.kind = EventKind::kNmi, .vector = 2};
      return true;
    case EventKind::kIrq:
      for (int word = 3; word >= 0; --word) {
        const std::uint64_t bits = irqs_[word].load(std::memory_order_acquire);
        if (bits == 0) continue;
        const int bit = 63 - __builtin_clzll(bits);
        *event = Event{.kind = EventKind::kIrq,
                       .vector = static_cast<std::uint8_t>(word * 64 + bit)};
        return true;
      }
      return false;
  }
  return false;
}

void InterruptQueue::Pop(const Event& event) {
  switch (event.kind) {
    case EventKind::kIrq:
      irqs_[event.vector / 64].fetch_and(
          ~(std::uint64_t{1} << (event.vector % 64)),
          std::memory_order_acq_rel);
      break;
    case EventKind::kNmi:
      nmi_.store(false, std::memory_order_release);
      break;
    case EventKind::kException:
      has_exception_ = false;
      break;
  }
}

}  // namespace worldswitch
