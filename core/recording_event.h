// One event of a recording: a call of an op with what it answered, or what went
// along with one. docs/recording.md has the bytes.
//
//   RecordedEvent event;
//   event.op = RecordedOp::kRun; ...
//   EventWriter writer(bytes, sizeof(bytes));  TransferEvent(writer, event);
//   EventReader reader(bytes, writer.size());  TransferEvent(reader, event);
//
// One function describes both directions, so that they cannot differ.
// Freestanding, header only.

#ifndef WORLDSWITCH_CORE_RECORDING_EVENT_H_
#define WORLDSWITCH_CORE_RECORDING_EVENT_H_

#include <cstddef>
#include <cstdint>

#include "core/exit.h"
#include "core/registers.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

enum class RecordedOp : std::uint8_t {
  kEnd = 0,  // not in a file: there is no more
  kGiven,    // what the caller stored for the exit before
  kDirty,  // a group of registers that the caller changed, before kRun, kCommit
  kCached,  // a group of registers as it was after kRun, kFetch
  kRun,
  kHandleExit,
  kInterruptAllowed,
  kInject,
  kWindow,
  kCancel,
  kFetch,
  kCommit,
  kDetail,
  kCount
};

// A page, the most that one I/O exit carries, and the most words of others.
inline constexpr std::size_t kRecordedBytes = 4096;
inline constexpr std::size_t kRecordedWords = 64;
// No event takes more in a file.
inline constexpr std::size_t kMostEventBytes =
    kRecordedBytes + kRecordedWords * 10 + 128;

struct RecordedEvent {
  RecordedOp op = RecordedOp::kEnd;
  Exit exit = {};                     // kRun; its pointers lead nowhere
  Event event = {};                   // kInject; kCancel, if answer is 1
  RegisterSet groups = kNoRegisters;  // kRun: wanted; kFetch: asked for;
                                      // kDirty, kCached: the one
  RegisterSet cached = kNoRegisters;  // after kRun, kFetch, kCommit
  RegisterSet dirty = kNoRegisters;   // the same
  // The op's result as a number: Disposition, InjectResult, Result, 0 or 1;
  // kGiven: whether #GP is to be raised.
  std::uint8_t answer = 0;
  std::uint8_t which = 0;         // kWindow: 0 IRQ, 1 NMI; kDetail: ExitDetail
  std::int32_t error_number = 0;  // of an answer kError
  std::uint64_t value = 0;        // kDetail
  // Bytes of I/O and MMIO data: kRun for what the guest writes, kGiven.
  std::uint32_t byte_count = 0;
  std::uint8_t bytes[kRecordedBytes];
  // Words: an MSR's value, a hypercall's arguments, data of an exit, registers.
  std::uint32_t word_count = 0;
  std::uint64_t words[kRecordedWords];
};

// ---- The two directions ----

// Numbers are written seven bits at a time, lowest first, with bit 7 set in all
// bytes but the last.
class EventWriter {
 public:
  EventWriter(std::uint8_t* to, std::size_t size) : to_(to), size_(size) {}
  std::size_t size() const { return at_; }
  bool ok() const { return ok_; }

  template <typename T>
  void Number(T& value) {
    auto rest = static_cast<std::uint64_t>(value);
    while (rest >= 0x80) {
      Byte(static_cast<std::uint8_t>(rest | 0x80));
      rest >>= 7;
    }
    Byte(static_cast<std::uint8_t>(rest));
  }
  void Bytes(std::uint8_t* bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) Byte(bytes[i]);
  }

 private:
  void Byte(std::uint8_t byte) {
    ok_ = ok_ && at_ < size_;
    if (ok_) to_[at_++] = byte;
  }

  std::uint8_t* const to_;
  const std::size_t size_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

class EventReader {
 public:
  EventReader(const std::uint8_t* from, std::size_t size)
      : from_(from), size_(size) {}
  std::size_t at() const { return at_; }
  bool is_at_end() const { return at_ == size_; }
  // False: what was read is no event.
  bool ok() const { return ok_; }

  template <typename T>
  void Number(T& value) {
    std::uint64_t all = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint8_t byte = Byte();
      if (shift > 63) ok_ = false;
      if (!ok_) break;
      all |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) break;
    }
    value = static_cast<T>(all);
    // One that does not fit was not written by us.
    if (static_cast<std::uint64_t>(value) != all) ok_ = false;
  }
  void Bytes(std::uint8_t* bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) bytes[i] = Byte();
  }

 private:
  std::uint8_t Byte() {
    ok_ = ok_ && at_ < size_;
    return ok_ ? from_[at_++] : 0;
  }

  const std::uint8_t* const from_;
  const std::size_t size_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// ---- What they transfer ----

template <typename Archive>
void TransferBytes(Archive& archive, RecordedEvent& event) {
  archive.Number(event.byte_count);
  if (event.byte_count > kRecordedBytes) event.byte_count = 0;
  archive.Bytes(event.bytes, event.byte_count);
}

template <typename Archive>
void TransferWords(Archive& archive, RecordedEvent& event) {
  archive.Number(event.word_count);
  if (event.word_count > kRecordedWords) event.word_count = 0;
  for (std::uint32_t i = 0; i < event.word_count; ++i) {
    archive.Number(event.words[i]);
  }
}

template <typename Archive>
void TransferInjected(Archive& archive, Event& event) {
  archive.Number(event.kind);
  archive.Number(event.vector);
  archive.Number(event.has_error_code);
  if (event.has_error_code) archive.Number(event.error_code);
}

// An int32_t crosses as the uint32_t of the same bits.
template <typename Archive>
void TransferErrno(Archive& archive, std::int32_t& number) {
  auto bits = static_cast<std::uint32_t>(number);
  archive.Number(bits);
  number = static_cast<std::int32_t>(bits);
}

template <typename Archive>
void TransferExit(Archive& archive, RecordedEvent& event) {
  Exit& exit = event.exit;
  archive.Number(exit.reason);
  archive.Number(exit.for_backend);
  archive.Number(exit.raw);
  switch (exit.reason) {
    case ExitReason::kIo:
      archive.Number(exit.io.is_write);
      archive.Number(exit.io.size);
      archive.Number(exit.io.port);
      archive.Number(exit.io.count);
      return TransferBytes(archive, event);
    case ExitReason::kMmio:
      archive.Number(exit.mmio.gpa);
      archive.Number(exit.mmio.length);
      archive.Number(exit.mmio.is_write);
      return TransferBytes(archive, event);
    case ExitReason::kRdmsr:
    case ExitReason::kWrmsr:
      archive.Number(exit.msr.index);
      archive.Number(exit.msr.engine_reason);
      return TransferWords(archive, event);
    case ExitReason::kHypercall:
      archive.Number(exit.hypercall.number);
      // Whether the engine takes a result.
      archive.Number(event.answer);
      return TransferWords(archive, event);
    case ExitReason::kCpuid:
      archive.Number(exit.cpuid.leaf);
      return archive.Number(exit.cpuid.subleaf);
    case ExitReason::kControlRegister:
    case ExitReason::kDebugRegister:
      archive.Number(exit.register_access.number);
      archive.Number(exit.register_access.gpr);
      return archive.Number(exit.register_access.is_write);
    case ExitReason::kException:
      archive.Number(exit.exception.vector);
      return archive.Number(exit.exception.error_code);
    case ExitReason::kPageFault:
      archive.Number(exit.page_fault.gpa);
      return archive.Number(exit.page_fault.access);
    case ExitReason::kDebug:
      archive.Number(exit.debug.pc);
      archive.Number(exit.debug.dr6);
      archive.Number(exit.debug.dr7);
      return archive.Number(exit.debug.exception);
    case ExitReason::kTprAccess:
      archive.Number(exit.tpr_access.rip);
      return archive.Number(exit.tpr_access.is_write);
    case ExitReason::kIoapicEoi:
      return archive.Number(exit.ioapic_eoi.vector);
    case ExitReason::kSystemEvent:
      archive.Number(exit.system_event.type);
      return TransferWords(archive, event);
    case ExitReason::kNotify:
      return archive.Number(exit.notify.flags);
    case ExitReason::kMemoryFault:
      archive.Number(exit.memory_fault.gpa);
      archive.Number(exit.memory_fault.size);
      archive.Number(exit.memory_fault.flags);
      return TransferErrno(archive, exit.memory_fault.error_number);
    case ExitReason::kInternalError:
      archive.Number(exit.internal_error.suberror);
      return TransferWords(archive, event);
    case ExitReason::kEntryFailure:
      archive.Number(exit.entry_failure.hardware_reason);
      return archive.Number(exit.entry_failure.cpu);
    case ExitReason::kInterrupted:
    case ExitReason::kRetry:
    case ExitReason::kError:
      return TransferErrno(archive, exit.error.error_number);
    default:
      return;  // no payload, or one that nobody outside the engine can read
  }
}

template <typename Archive>
void TransferEvent(Archive& archive, RecordedEvent& event) {
  archive.Number(event.op);
  switch (event.op) {
    case RecordedOp::kGiven:
      archive.Number(event.answer);
      return TransferBytes(archive, event);
    case RecordedOp::kDirty:
    case RecordedOp::kCached:
      archive.Number(event.groups);
      return TransferWords(archive, event);
    case RecordedOp::kRun:
      archive.Number(event.groups);
      archive.Number(event.cached);
      archive.Number(event.dirty);
      return TransferExit(archive, event);
    case RecordedOp::kFetch:
      archive.Number(event.groups);
      [[fallthrough]];
    case RecordedOp::kCommit:
      archive.Number(event.cached);
      archive.Number(event.dirty);
      archive.Number(event.answer);
      return TransferErrno(archive, event.error_number);
    case RecordedOp::kInject:
      TransferInjected(archive, event.event);
      archive.Number(event.answer);
      return TransferErrno(archive, event.error_number);
    case RecordedOp::kCancel:
      archive.Number(event.answer);
      if (event.answer != 0) TransferInjected(archive, event.event);
      return;
    case RecordedOp::kWindow:
      archive.Number(event.which);
      return archive.Number(event.answer);
    case RecordedOp::kDetail:
      archive.Number(event.which);
      archive.Number(event.answer);
      return archive.Number(event.value);
    default:  // kHandleExit, kInterruptAllowed; kEnd and kCount are refused
      return archive.Number(event.answer);
  }
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_RECORDING_EVENT_H_
