#include "lab/kernel_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lab/decompress.h"

namespace worldswitch {
namespace {

// Offsets of the setup header's fields (Documentation/x86/boot.rst, "The
// Real-Mode Kernel Header").
constexpr std::size_t kSetupSectors = 0x1f1;
constexpr std::size_t kJumpOffset = 0x201;
constexpr std::size_t kJumpEnd = 0x202;
constexpr std::size_t kMagic = 0x202;
constexpr std::size_t kVersion = 0x206;
constexpr std::size_t kPayloadOffset = 0x248;
constexpr std::size_t kPayloadLength = 0x24c;
constexpr std::size_t kInitSize = 0x260;
constexpr std::size_t kSectorSize = 512;
constexpr std::uint16_t kPayloadVersion = 0x208;  // first with a payload
// No kernel takes more; a header that says so is broken.
constexpr std::uint64_t kMostMemory = std::uint64_t{1} << 30;

template <typename T>
T Get(absl::string_view bytes, std::size_t offset) {
  T value = {};
  if (offset + sizeof(T) <= bytes.size()) {
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
  }
  return value;
}

absl::Status NotAKernel(absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("not an x86-64 bzImage: ", why));
}

}  // namespace

absl::StatusOr<KernelImage> FlattenElf(absl::string_view elf) {
  const auto header = Get<Elf64_Ehdr>(elf, 0);
  if (!absl::StartsWith(elf, absl::string_view(ELFMAG, SELFMAG)) ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
    return NotAKernel("what is compressed in it is no 64-bit ELF file");
  }
  std::vector<Elf64_Phdr> loads;
  KernelImage image;
  image.entry = header.e_entry;
  image.base = ~std::uint64_t{0};
  std::uint64_t memory_end = 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment =
        Get<Elf64_Phdr>(elf, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > elf.size() ||
        segment.p_filesz > elf.size() - segment.p_offset ||
        segment.p_paddr > kMostMemory || segment.p_memsz > kMostMemory) {
      return NotAKernel("its ELF file is cut short");
    }
    loads.push_back(segment);
    image.base = std::min(image.base, segment.p_paddr);
    memory_end = std::max(memory_end, segment.p_paddr + segment.p_filesz);
    image.end = std::max(image.end, segment.p_paddr + segment.p_memsz);
  }
  if (loads.empty()) return NotAKernel("its ELF file has nothing to load");
  image.memory.resize(memory_end - image.base);
  for (const Elf64_Phdr& segment : loads) {
    std::memcpy(&image.memory[segment.p_paddr - image.base],
                elf.data() + segment.p_offset, segment.p_filesz);
  }
  return image;
}

absl::StatusOr<KernelImage> ExtractKernel(absl::string_view bytes) {
  if (bytes.size() < 2 * kSectorSize ||
      bytes.substr(kMagic, 4) != absl::string_view("HdrS")) {
    return NotAKernel("it has no setup header");
  }
  const auto version = Get<std::uint16_t>(bytes, kVersion);
  if (version < kPayloadVersion) {
    return NotAKernel(absl::StrFormat("boot protocol %#x is too old", version));
  }
  std::size_t sectors = Get<std::uint8_t>(bytes, kSetupSectors);
  if (sectors == 0) sectors = 4;
  const std::size_t start =
      (sectors + 1) * kSectorSize + Get<std::uint32_t>(bytes, kPayloadOffset);
  const std::size_t length = Get<std::uint32_t>(bytes, kPayloadLength);
  if (length < 8 || start > bytes.size() || length > bytes.size() - start) {
    return NotAKernel("it is cut short");
  }
  absl::string_view payload = bytes.substr(start, length);
  // After all but gzip, whose own trailer ends so, the build appends the
  // uncompressed size in four bytes.
  if (!absl::StartsWith(payload, "\x1f\x8b")) payload.remove_suffix(4);
  absl::StatusOr<std::string> elf = Decompress(payload);
  if (!elf.ok()) return elf.status();
  absl::StatusOr<KernelImage> image = FlattenElf(*elf);
  if (!image.ok()) return image;
  const std::size_t header_end =
      kJumpEnd + Get<std::uint8_t>(bytes, kJumpOffset);
  image->setup_header =
      std::string(bytes.substr(kSetupSectors, header_end - kSetupSectors));
  image->end =
      std::max(image->end, image->base + Get<std::uint32_t>(bytes, kInitSize));
  return image;
}

}  // namespace worldswitch
