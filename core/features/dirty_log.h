// Which pages the guest wrote to: as a bitmap for each memory slot, or as a
// ring for each vCPU (knob dirty_ring), whichever the VM was made with.
//
// A slot is watched while it has kLogDirtyPages (core/features/memory_slots.h).
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_DIRTY_LOG_H_
#define WORLDSWITCH_CORE_FEATURES_DIRTY_LOG_H_

#include <cstddef>
#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// Words of a bitmap of `bytes` of memory: a bit for each page of 4096 bytes,
// page 0 in bit 0 of word 0.
constexpr std::size_t DirtyBitmapWords(std::uint64_t bytes) {
  return static_cast<std::size_t>((bytes / 4096 + 63) / 64);
}

struct DirtyPage {
  std::uint32_t slot;
  std::uint64_t page;  // index within the slot
};

// One thread at a time calls; the bitmap may be read beside running vCPUs, a
// ring while its vCPU does not run.
class DirtyLog {
 public:
  static constexpr FeatureId kId = FeatureId::kDirtyLog;

  // Pages written since the last time (since they were cleared, with manual
  // protect). words: DirtyBitmapWords of the slot, exactly. kError: ENOENT
  // where the slot is not watched, ENXIO where the VM has rings.
  virtual Result get(std::uint32_t slot, std::uint64_t* bitmap,
                     std::size_t words) = 0;

  // From now on `get` only tells, and `clear` makes pages watched again.
  // all_set: slots that are watched from now on begin with every page dirty.
  // For the life of the VM. kUnsupported where the engine cannot.
  virtual Result use_manual_protect(bool all_set) = 0;
  // Pages whose bit is set are clean from now on. first_page: multiple of 64;
  // pages: likewise, or up to the slot's end. bitmap: begins with first_page.
  virtual Result clear(std::uint32_t slot, std::uint64_t first_page,
                       std::uint32_t pages, const std::uint64_t* bitmap) = 0;

  // Entries in each vCPU's ring; 0: no rings. A vCPU whose ring has little room
  // left exits with kDirtyRingFull, at every run until it is harvested.
  virtual std::uint32_t ring_entries() = 0;
  // Takes up to `count` pages from a vCPU's ring, oldest first. How many.
  virtual std::uint32_t harvest(std::uint32_t vcpu, DirtyPage* pages,
                                std::uint32_t count) = 0;
  // Makes the harvested pages watched again, and their room free. *pages, if
  // not null: how many there were.
  virtual Result reset_rings(std::uint32_t* pages) = 0;

  virtual int last_error() const = 0;

 protected:
  ~DirtyLog() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_DIRTY_LOG_H_
