// What lies in a Bochs guest's RAM when it is started without BIOS, boot loader
// or decompressor: boot_params, the command line, the kernel, the initramfs;
// and the ROM that jumps into them.

#ifndef WORLDSWITCH_LAB_MEMORY_IMAGE_H_
#define WORLDSWITCH_LAB_MEMORY_IMAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lab/kernel_image.h"

namespace worldswitch {

struct MemoryImage {
  std::uint64_t memory_bytes = 0;  // of the guest
  std::string boot_params;         // one page: the kernel's "zero page"
  std::string command_line;
  const KernelImage* kernel = nullptr;
  std::uint64_t initramfs_address = 0;
};

inline constexpr std::uint64_t kBootParamsAddress = 0x90000;
inline constexpr std::uint64_t kCommandLineAddress = 0x91000;
// A0000h to FFFFFh has no RAM behind it, so the file has no place for it.
inline constexpr std::uint64_t kNoRamStart = 0xa0000;
inline constexpr std::uint64_t kNoRamEnd = 0x100000;

// Lays out the guest's memory. OutOfRange: it does not fit.
absl::StatusOr<MemoryImage> LayOutMemory(const KernelImage& kernel,
                                         const std::string& command_line,
                                         std::uint64_t initramfs_bytes,
                                         std::uint64_t memory_bytes);

// Where in the file an address of RAM is.
std::uint64_t MemoryFileOffset(std::uint64_t address);

// Writes the file that Bochs reads its RAM from, with the initramfs that lies
// in another file. A full disk is said so.
absl::Status WriteMemoryImage(const MemoryImage& image,
                              const std::string& initramfs_path,
                              const std::string& path);

// The 64 KiB below 4 GiB, made for this image.
std::string BootRom(const MemoryImage& image);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_MEMORY_IMAGE_H_
