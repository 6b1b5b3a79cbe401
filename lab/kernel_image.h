// A Linux kernel taken out of its bzImage: what a boot loader and the kernel's
// own decompressor would leave in memory, made on the host instead, so that the
// guest need not spend two thousand million instructions on it.

#ifndef WORLDSWITCH_LAB_KERNEL_IMAGE_H_
#define WORLDSWITCH_LAB_KERNEL_IMAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

struct KernelImage {
  // The setup header as the boot protocol has it, at offset 1F1h of a bzImage
  // and of boot_params alike (Documentation/x86/boot.rst).
  std::string setup_header;
  // The loadable segments, as they lie in physical memory from `base` on.
  std::string memory;
  std::uint64_t base = 0;
  std::uint64_t entry = 0;  // physical; 64-bit code
  // The first byte after the kernel, what it clears at its start included.
  std::uint64_t end = 0;
};

// bytes: a whole bzImage of x86-64. InvalidArgument: it is none, with what is
// wrong; DataLoss: what is inside cannot be decompressed.
absl::StatusOr<KernelImage> ExtractKernel(absl::string_view bytes);

// Lays out the loadable segments of a 64-bit x86 ELF file; no setup header.
absl::StatusOr<KernelImage> FlattenElf(absl::string_view elf);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_KERNEL_IMAGE_H_
