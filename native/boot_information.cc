#include "native/boot_information.h"

#include "backends/native/host_services.h"
#include "native/rom_layout.h"
#include "native/text.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kLoadedByMultiboot = 0x2badb002;
constexpr std::uint32_t kHasMemorySizes = 1u << 0;
constexpr std::uint32_t kHasCommandLine = 1u << 2;
constexpr std::uint32_t kHasMemoryMap = 1u << 6;
constexpr std::uint32_t kHasLoaderName = 1u << 9;
constexpr std::uint32_t kAvailable = 1;
constexpr std::uint64_t kOneMib = 0x100000;
constexpr std::uint64_t kFourGib = 0x100000000;

struct Information {
  std::uint32_t flags;
  std::uint32_t kib_below_1m;
  std::uint32_t kib_above_1m;
  std::uint32_t boot_device;
  std::uint32_t command_line;
  std::uint32_t modules[2];
  std::uint32_t symbols[4];
  std::uint32_t map_bytes;
  std::uint32_t map;
  std::uint32_t drives[2];
  std::uint32_t configuration;
  std::uint32_t loader_name;
};

struct [[gnu::packed]] MapEntry {
  std::uint32_t size;  // of what follows
  std::uint64_t address;
  std::uint64_t length;
  std::uint32_t type;
};

// Identity-mapped, as all below 4 GiB is.
template <typename T>
const T* At(std::uint32_t address) {
  return reinterpret_cast<const T*>(static_cast<std::uintptr_t>(address));
}

}  // namespace

bool BootInformation::Read(std::uint32_t magic, std::uint32_t address) {
  if (magic != kLoadedByMultiboot) return false;
  const auto& information = *At<Information>(address);
  if ((information.flags & kHasCommandLine) != 0) {
    const char* line = At<char>(information.command_line);
    std::size_t i = 0;
    for (; line[i] != 0 && i + 1 < sizeof(command_line_); ++i) {
      command_line_[i] = line[i];
    }
    command_line_[i] = 0;
  }
  own_rom_ = (information.flags & kHasLoaderName) != 0 &&
             Equal(At<char>(information.loader_name), WS_ROM_LOADER_NAME);
  if ((information.flags & kHasMemoryMap) != 0) {
    const std::uint32_t end = information.map + information.map_bytes;
    for (std::uint32_t at = information.map; at < end;) {
      const auto& entry = *At<MapEntry>(at);
      if (entry.type == kAvailable) {
        AddRange(entry.address, entry.address + entry.length);
      }
      at += entry.size + sizeof(entry.size);
    }
  } else if ((information.flags & kHasMemorySizes) != 0) {
    AddRange(kOneMib, kOneMib + std::uint64_t{information.kib_above_1m} * 1024);
  }
  return true;
}

void BootInformation::AddRange(std::uint64_t first, std::uint64_t end) {
  if (first < kOneMib) first = kOneMib;
  if (end > kFourGib) end = kFourGib;
  first = (first + kPageBytes - 1) / kPageBytes * kPageBytes;
  end = end / kPageBytes * kPageBytes;
  if (first >= end || range_count_ == kMaxRanges) return;
  ranges_[range_count_++] = {.first = first, .end = end};
}

}  // namespace worldswitch::native
