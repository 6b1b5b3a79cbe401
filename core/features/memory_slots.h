// Memory slots: guest-physical memory beside the VM's own, added, changed and
// taken away, also while vCPUs run.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_MEMORY_SLOTS_H_
#define WORLDSWITCH_CORE_FEATURES_MEMORY_SLOTS_H_

#include <cstddef>
#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// A set of properties of a slot; combine with |.
using SlotFlags = std::uint32_t;
inline constexpr SlotFlags kPlainSlot = 0;
// Pages written to are recorded (core/features/dirty_log.h).
inline constexpr SlotFlags kLogDirtyPages = 1;
// The guest reads it; a write is a kMmio exit.
inline constexpr SlotFlags kReadOnlySlot = 2;

struct MemorySlot {
  std::uint32_t slot = 0;   // 1 to slot_limit() - 1; 0 is the main memory
  std::uint64_t gpa = 0;    // multiple of 4096; may not overlap another slot
  std::uint64_t bytes = 0;  // multiple of 4096, not 0
  // Page-aligned; must stay there as long as the slot. Several slots may show
  // the same memory.
  void* host = nullptr;
  SlotFlags flags = kPlainSlot;
};

// Any thread may call, beside running vCPUs, one at a time. When a call that
// takes a slot away or makes it stricter returns, no vCPU uses the old one any
// more.
class MemorySlots {
 public:
  static constexpr FeatureId kId = FeatureId::kMemorySlots;

  // How many slots a VM may have, the main memory's included.
  virtual std::uint32_t slot_limit() = 0;
  // Bytes of a slot that is there; 0 where there is none.
  virtual std::uint64_t slot_bytes(std::uint32_t slot) = 0;
  // Whether slots can have all of these flags.
  virtual bool offers(SlotFlags flags) = 0;

  // kUnsupported: flags the engine lacks. kError: last_error() is EEXIST
  // (overlap, or the slot is there already), EINVAL (alignment, slot number).
  virtual Result add(const MemorySlot& slot) = 0;
  // Slot 0 too.
  virtual Result set_flags(std::uint32_t slot, SlotFlags flags) = 0;
  // kError with ENOENT where there is none; EINVAL for slot 0, in which the
  // guest lives.
  virtual Result remove(std::uint32_t slot) = 0;

  virtual int last_error() const = 0;

 protected:
  ~MemorySlots() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_MEMORY_SLOTS_H_
