// Accesses of the guest that the engine takes note of without leaving for the
// caller: an event that is signalled, or an entry in a ring.
// FeatureOf<IoEvents>(vm) is null where the engine has neither.
//
// One thread at a time, no vCPU of the VM running, unless a line says
// otherwise. kError leaves everything as it was; last_error() says why.
//
// Freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_IO_EVENTS_H_
#define WORLDSWITCH_CORE_FEATURES_IO_EVENTS_H_

#include <cstdint>

#include "core/vcpu_ops.h"
#include "core/vm_ops.h"

namespace worldswitch {

enum class IoSpace : std::uint8_t { kPort, kMemory };

// Which writes signal. The first port of an OUT, or the guest-physical address
// of a store.
struct IoEvent {
  IoSpace space = IoSpace::kPort;
  std::uint64_t address = 0;
  // 1, 2, 4 or 8 bytes; 0: a write of any length (the engine need not decode
  // the instruction, so this is the fastest).
  std::uint32_t length = 0;
  // Only writes of this value signal. Needs a length.
  bool match = false;
  std::uint64_t value = 0;
};

// Names an event of add_event; counts up from 0 and is not reused.
using IoEventToken = std::uint32_t;

struct CoalescedWrite {
  IoSpace space;
  std::uint64_t address;
  std::uint32_t length;  // 1 to 8 bytes
  std::uint64_t value;
};

class IoEvents {
 public:
  static constexpr FeatureId kId = FeatureId::kIoEvents;

  // A matching write makes no exit that reaches the caller from now on.
  virtual Result add_event(const IoEvent& event, IoEventToken* token) = 0;
  virtual Result remove_event(IoEventToken token) = 0;
  // Writes that signalled since add_event; also of an event that was removed.
  // Beside running vCPUs. A system call.
  virtual std::uint64_t signals(IoEventToken token) = 0;

  // Writes into [address, address + length) go into the ring. With the ring
  // full they exit as they did before. The first vCPU must exist.
  virtual Result add_coalesced(IoSpace space, std::uint64_t address,
                               std::uint32_t length) = 0;
  // The same three values as of add_coalesced.
  virtual Result remove_coalesced(IoSpace space, std::uint64_t address,
                                  std::uint32_t length) = 0;
  // Takes the oldest write out of the ring. False: it is empty. Beside running
  // vCPUs, by one thread. No system call.
  virtual bool next_coalesced(CoalescedWrite* write) = 0;
  // Takes all of them, and says how many were taken since the VM was made, by
  // this or by next_coalesced.
  virtual std::uint64_t drain_coalesced() = 0;
  // Writes the ring holds before it is full; 0: no ring.
  virtual std::uint32_t coalesced_capacity() const = 0;

  // errno of the last call that answered kError; EINVAL also for arguments
  // refused before the engine saw them.
  virtual int last_error() const = 0;

 protected:
  ~IoEvents() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_IO_EVENTS_H_
