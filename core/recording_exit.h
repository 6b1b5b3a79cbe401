// Exits and their borrowed data, into an event and out of it.
//
// Freestanding, header only.

#ifndef WORLDSWITCH_CORE_RECORDING_EXIT_H_
#define WORLDSWITCH_CORE_RECORDING_EXIT_H_

#include <cstddef>
#include <cstdint>

#include "core/exit.h"
#include "core/recording_event.h"

namespace worldswitch {

// Bytes that an I/O or MMIO exit lends; 0 for others.
inline std::size_t LentBytes(const Exit& exit) {
  if (exit.reason == ExitReason::kIo) {
    return std::size_t{exit.io.size} * exit.io.count;
  }
  return exit.reason == ExitReason::kMmio ? exit.mmio.length : 0;
}

// Whether the caller is to store something for it (CMP.1).
inline bool WantsData(const Exit& exit) {
  switch (exit.reason) {
    case ExitReason::kIo:
      return !exit.io.is_write;
    case ExitReason::kMmio:
      return !exit.mmio.is_write;
    case ExitReason::kRdmsr:
    case ExitReason::kWrmsr:
      return true;
    case ExitReason::kHypercall:
      return exit.hypercall.result != nullptr;
    default:
      return false;
  }
}

namespace recording_internal {

inline void TakeWords(const std::uint64_t* from, std::uint32_t count,
                      RecordedEvent* event) {
  if (from == nullptr || count > kRecordedWords) count = 0;
  event->word_count = count;
  for (std::uint32_t i = 0; i < count; ++i) event->words[i] = from[i];
}

inline void TakeBytes(const void* from, std::size_t count,
                      RecordedEvent* event) {
  if (from == nullptr || count > kRecordedBytes) count = 0;
  event->byte_count = static_cast<std::uint32_t>(count);
  __builtin_memcpy(event->bytes, from, count);
}

}  // namespace recording_internal

// The exit of a kRun, with what it lends.
inline void PackExit(const Exit& exit, RecordedEvent* event) {
  using recording_internal::TakeBytes;
  using recording_internal::TakeWords;
  event->exit = exit;
  event->byte_count = 0;
  event->word_count = 0;
  event->answer = 0;
  switch (exit.reason) {
    case ExitReason::kIo:
      if (exit.io.is_write) TakeBytes(exit.io.data, LentBytes(exit), event);
      break;
    case ExitReason::kMmio:
      if (exit.mmio.is_write) TakeBytes(exit.mmio.data, LentBytes(exit), event);
      break;
    case ExitReason::kWrmsr:
      TakeWords(exit.msr.data, 1, event);
      break;
    case ExitReason::kHypercall:
      event->answer = exit.hypercall.result != nullptr ? 1 : 0;
      TakeWords(exit.hypercall.arguments, exit.hypercall.argument_count, event);
      break;
    case ExitReason::kInternalError:
      TakeWords(exit.internal_error.data, exit.internal_error.data_count,
                event);
      break;
    case ExitReason::kSystemEvent:
      TakeWords(exit.system_event.data, exit.system_event.data_count, event);
      break;
    default:
      break;
  }
}

// What the caller has stored for `exit`, as a kGiven; WantsData(exit).
inline void PackGiven(const Exit& exit, RecordedEvent* event) {
  using recording_internal::TakeBytes;
  event->op = RecordedOp::kGiven;
  event->answer = 0;
  switch (exit.reason) {
    case ExitReason::kIo:
      return TakeBytes(exit.io.data, LentBytes(exit), event);
    case ExitReason::kMmio:
      return TakeBytes(exit.mmio.data, LentBytes(exit), event);
    case ExitReason::kHypercall:
      return TakeBytes(exit.hypercall.result, sizeof(std::uint64_t), event);
    default:
      event->answer = *exit.msr.inject_gp;
      return TakeBytes(exit.msr.data, sizeof(std::uint64_t), event);
  }
}

// Where a replayed exit's data lives.
struct LentData {
  alignas(std::uint64_t) std::uint8_t bytes[kRecordedBytes];
  std::uint64_t words[kRecordedWords];
  std::uint64_t word;
  std::uint8_t inject_gp;
};

// The exit of a kRun again, with its pointers into *lent. False: the event is
// not one that PackExit made.
inline bool UnpackExit(const RecordedEvent& event, LentData* lent, Exit* exit) {
  *exit = event.exit;
  __builtin_memcpy(lent->words, event.words, sizeof(lent->words));
  lent->word = event.word_count > 0 ? event.words[0] : 0;
  lent->inject_gp = 0;
  switch (exit->reason) {
    case ExitReason::kIo:
    case ExitReason::kMmio: {
      const std::size_t size = LentBytes(*exit);
      if (size > kRecordedBytes ||
          event.byte_count != (WantsData(*exit) ? 0 : size)) {
        return false;
      }
      __builtin_memset(lent->bytes, 0, size);
      __builtin_memcpy(lent->bytes, event.bytes, event.byte_count);
      if (exit->reason == ExitReason::kIo) {
        exit->io.data = lent->bytes;
      } else {
        exit->mmio.data = lent->bytes;
      }
      return size > 0;
    }
    case ExitReason::kRdmsr:
    case ExitReason::kWrmsr:
      exit->msr.data = &lent->word;
      exit->msr.inject_gp = &lent->inject_gp;
      return true;
    case ExitReason::kHypercall:
      exit->hypercall.arguments = event.word_count > 0 ? lent->words : nullptr;
      exit->hypercall.argument_count = event.word_count;
      lent->word = 0;
      exit->hypercall.result = event.answer != 0 ? &lent->word : nullptr;
      return true;
    case ExitReason::kInternalError:
      exit->internal_error.data = lent->words;
      exit->internal_error.data_count = event.word_count;
      return true;
    case ExitReason::kSystemEvent:
      exit->system_event.data = lent->words;
      exit->system_event.data_count = event.word_count;
      return true;
    case ExitReason::kHyperv:
    case ExitReason::kXen:
      return false;  // their payload is the engine's own structure
    default:
      return exit->reason < ExitReason::kCount;
  }
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_RECORDING_EXIT_H_
