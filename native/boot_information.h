// What the boot loader tells: command line, memory. Multiboot 1, section 3.3.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_BOOT_INFORMATION_H_
#define WORLDSWITCH_NATIVE_BOOT_INFORMATION_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::native {

// Physical memory [first, end), free to use.
struct MemoryRange {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
};

class BootInformation {
 public:
  static constexpr std::size_t kMaxRanges = 32;

  // magic, address: as the loader left them. Copies what it needs, so that the
  // memory behind address may be used. False: no multiboot loader.
  bool Read(std::uint32_t magic, std::uint32_t address);

  const char* command_line() const { return command_line_; }
  // The loader is this project's own ROM.
  bool own_rom() const { return own_rom_; }
  // Above 1 MiB and below 4 GiB; in whole pages.
  std::size_t range_count() const { return range_count_; }
  const MemoryRange& range(std::size_t index) const { return ranges_[index]; }

 private:
  void AddRange(std::uint64_t first, std::uint64_t end);

  char command_line_[4096] = "";
  bool own_rom_ = false;
  MemoryRange ranges_[kMaxRanges];
  std::size_t range_count_ = 0;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_BOOT_INFORMATION_H_
