// Port and MMIO devices by address, for callers that serve exits.
//
// Built once, then frozen: look-up is a search over a sorted array, without a
// lock, an allocation or a string between two entries.

#ifndef WORLDSWITCH_CORE_HOST_BUS_H_
#define WORLDSWITCH_CORE_HOST_BUS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/exit.h"
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

// One address space: ports, or guest-physical memory.
class Bus {
 public:
  // Not owned; must outlive the bus. Refused: an empty range, one that wraps,
  // one that overlaps another (the message names both).
  absl::Status Add(std::uint64_t start, std::uint64_t length, BusDevice* device,
                   std::string name);
  absl::Status Remove(std::uint64_t start);

  // False: nobody lives there, or the access reaches over a device's end.
  bool Read(std::uint64_t address, void* data, std::uint32_t size) const;
  bool Write(std::uint64_t address, const void* data, std::uint32_t size) const;

  std::size_t device_count() const { return ranges_.size(); }

 private:
  struct Range {
    std::uint64_t start;
    std::uint64_t length;
    BusDevice* device;
    std::string name;
  };
  std::vector<Range> ranges_;
};

// Serves kIo and kMmio exits from two buses; a REP string exit element by
// element. An access that nobody claims reads as all ones and is dropped when
// written, as on a PC, and counts in unclaimed(). Any other exit goes to
// `otherwise`, or ends the loop where that is null.
class BusExitHandler final : public ExitHandler {
 public:
  BusExitHandler(const Bus* ports, const Bus* mmio,
                 ExitHandler* otherwise = nullptr)
      : ports_(ports), mmio_(mmio), otherwise_(otherwise) {}
  LoopAction HandleExit(Exit& exit) override;
  std::uint64_t unclaimed() const { return unclaimed_; }

 private:
  const Bus* ports_;
  const Bus* mmio_;
  ExitHandler* otherwise_;
  std::uint64_t unclaimed_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_BUS_H_
