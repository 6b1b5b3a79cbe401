// Port and MMIO devices by address, for callers that serve exits.
//
// Built once, then frozen: look-up is a branch-free search whose cost hardly
// grows with the number of devices, without a lock, an allocation or a string
// between two entries.

#ifndef WORLDSWITCH_CORE_HOST_BUS_H_
#define WORLDSWITCH_CORE_HOST_BUS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/exit.h"
#include "core/host/range_index.h"
#include "core/vcpu_loop.h"

namespace worldswitch {

// Something a guest reads and writes. Called on the vCPU's thread; one device
// on a bus of several vCPUs may be called by several threads at once.
class BusDevice {
 public:
  virtual ~BusDevice() = default;
  // offset: from the start of the range it was added with. size: 1 to 8 bytes.
  virtual void Read(std::uint64_t offset, void* data, std::uint32_t size) = 0;
  virtual void Write(std::uint64_t offset, const void* data,
                     std::uint32_t size) = 0;
};

// One address space: ports, or guest-physical memory. Read and Write are safe
// from several threads while nobody adds or removes.
class Bus {
 public:
  // Not owned; must outlive the bus. Refused: an empty range, one that wraps,
  // one that overlaps another (the message names both).
  absl::Status Add(std::uint64_t start, std::uint64_t length, BusDevice* device,
                   std::string name);
  absl::Status Remove(std::uint64_t start);  // NotFound: nobody starts there

  // False: nobody lives there, the access reaches over a device's end, or size
  // is not 1 to 8.
  bool Read(std::uint64_t address, void* data, std::uint32_t size) const;
  bool Write(std::uint64_t address, const void* data, std::uint32_t size) const;

  std::size_t device_count() const { return ranges_.size(); }

 private:
  // What a look-up touches, apart from what only messages need. Not across two
  // cache lines.
  struct alignas(32) Range {
    std::uint64_t start;
    std::uint64_t length;
    BusDevice* device;
  };
  // The range that wholly holds the access, or null.
  const Range* Find(std::uint64_t address, std::uint32_t size) const;
  void BuildIndex();

  std::vector<Range> ranges_;       // by start
  std::vector<std::string> names_;  // of the range of the same index
  RangeIndex index_;                // over the ranges' starts
};

// Serves kIo and kMmio exits from two buses; a REP string exit element by
// element. An access that nobody claims reads as all ones and is dropped when
// written, as on a PC, and counts in unclaimed(). A null bus claims nothing.
// Any other exit goes to `otherwise`. Where that is null, kInterrupted enters
// again (a kick that comes late looks like this; who wants the loop to end
// calls VcpuContext::RequestReturn), and the rest ends the loop.
//
// For one vCPU; the buses may be shared.
class BusExitHandler final : public ExitHandler {
 public:
  BusExitHandler(const Bus* ports, const Bus* mmio,
                 ExitHandler* otherwise = nullptr)
      : ports_(ports), mmio_(mmio), otherwise_(otherwise) {}
  LoopAction HandleExit(Exit& exit) override;
  // Elements, not exits.
  std::uint64_t unclaimed() const { return unclaimed_; }

 private:
  void Access(const Bus* bus, std::uint64_t address, void* data,
              std::uint32_t size, bool is_write);

  const Bus* ports_;
  const Bus* mmio_;
  ExitHandler* otherwise_;
  std::uint64_t unclaimed_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_BUS_H_
