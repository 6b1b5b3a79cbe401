#include "core/host/bus.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace worldswitch {
namespace {

std::string RangeName(const std::string& name, std::uint64_t start,
                      std::uint64_t length) {
  return absl::StrCat("\"", name, "\" at [0x", absl::Hex(start), ", 0x",
                      absl::Hex(start + (length - 1)), "]");
}

}  // namespace

absl::Status Bus::Add(std::uint64_t start, std::uint64_t length,
                      BusDevice* device, std::string name) {
  if (length == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" at 0x", absl::Hex(start), " has an empty range"));
  }
  const std::uint64_t last = start + (length - 1);
  if (last < start) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" at 0x", absl::Hex(start), " with 0x", absl::Hex(length),
        " bytes wraps around the end of the addresses"));
  }
  if (device == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(RangeName(name, start, length), " has no device"));
  }
  // The first range that does not end before this one starts.
  const auto behind =
      std::find_if(ranges_.begin(), ranges_.end(), [start](const Range& range) {
        return range.start + (range.length - 1) >= start;
      });
  const auto index = std::distance(ranges_.begin(), behind);
  if (behind != ranges_.end() && behind->start <= last) {
    return absl::AlreadyExistsError(
        absl::StrCat(RangeName(name, start, length), " overlaps ",
                     RangeName(names_[index], behind->start, behind->length)));
  }
  ranges_.insert(behind, {.start = start, .length = length, .device = device});
  names_.insert(names_.begin() + index, std::move(name));
  BuildIndex();
  return absl::OkStatus();
}

absl::Status Bus::Remove(std::uint64_t start) {
  const auto found = std::find_if(
      ranges_.begin(), ranges_.end(),
      [start](const Range& range) { return range.start == start; });
  if (found == ranges_.end()) {
    return absl::NotFoundError(
        absl::StrCat("no device starts at 0x", absl::Hex(start)));
  }
  names_.erase(names_.begin() + std::distance(ranges_.begin(), found));
  ranges_.erase(found);
  BuildIndex();
  return absl::OkStatus();
}

void Bus::BuildIndex() {
  std::vector<std::uint64_t> starts;
  starts.reserve(ranges_.size());
  for (const Range& range : ranges_) starts.push_back(range.start);
  index_.Build(starts);
}

const Bus::Range* Bus::Find(std::uint64_t address, std::uint32_t size) const {
  if (ranges_.empty() || size == 0 || size > 8) return nullptr;
  const std::size_t index = index_.Find(address);
  const Range* range = &ranges_[index];
  if (address < range->start) {
    if (index == 0) return nullptr;
    --range;
  }
  const std::uint64_t offset = address - range->start;
  if (offset >= range->length || size > range->length - offset) return nullptr;
  return range;
}

bool Bus::Read(std::uint64_t address, void* data, std::uint32_t size) const {
  const Range* range = Find(address, size);
  if (range == nullptr) return false;
  range->device->Read(address - range->start, data, size);
  return true;
}

bool Bus::Write(std::uint64_t address, const void* data,
                std::uint32_t size) const {
  const Range* range = Find(address, size);
  if (range == nullptr) return false;
  range->device->Write(address - range->start, data, size);
  return true;
}

void BusExitHandler::Access(const Bus* bus, std::uint64_t address, void* data,
                            std::uint32_t size, bool is_write) {
  if (bus != nullptr && (is_write ? bus->Write(address, data, size)
                                  : bus->Read(address, data, size))) {
    return;
  }
  ++unclaimed_;
  if (!is_write) std::memset(data, 0xff, size);
}

LoopAction BusExitHandler::HandleExit(Exit& exit) {
  switch (exit.reason) {
    case ExitReason::kIo: {
      auto* element = static_cast<std::byte*>(exit.io.data);
      for (std::uint32_t i = 0; i < exit.io.count; ++i) {
        Access(ports_, exit.io.port, element, exit.io.size, exit.io.is_write);
        element += exit.io.size;
      }
      return LoopAction::kResume;
    }
    case ExitReason::kMmio:
      Access(mmio_, exit.mmio.gpa, exit.mmio.data, exit.mmio.length,
             exit.mmio.is_write);
      return LoopAction::kResume;
    default:
      if (otherwise_ != nullptr) return otherwise_->HandleExit(exit);
      return exit.reason == ExitReason::kInterrupted ? LoopAction::kResume
                                                     : LoopAction::kReturn;
  }
}

}  // namespace worldswitch
