#include "lab/memory_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"
#include "lab/temporary_directory.h"

// long_mode_rom.S
extern "C" {
extern const char ws_lab_rom[];
extern const char ws_lab_rom_parameters[];
extern const char ws_lab_rom_end[];
}

namespace worldswitch {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

// Offsets in boot_params (Documentation/x86/zero-page.rst, boot.rst).
constexpr std::size_t kE820Entries = 0x1e8;
constexpr std::size_t kSetupHeader = 0x1f1;
constexpr std::size_t kVideoMode = 0x1fa;
constexpr std::size_t kLoaderType = 0x210;
constexpr std::size_t kLoadFlags = 0x211;
constexpr std::size_t kInitrdAddress = 0x218;
constexpr std::size_t kInitrdSize = 0x21c;
constexpr std::size_t kCommandLine = 0x228;
constexpr std::size_t kE820Table = 0x2d0;
constexpr std::size_t kE820EntrySize = 20;
constexpr std::uint8_t kUndefinedLoader = 0xff;
constexpr std::uint8_t kLoadedHigh = 0x01;
constexpr std::uint16_t kNormalVideo = 0xffff;
constexpr std::uint32_t kE820Ram = 1;
constexpr std::uint32_t kE820Reserved = 2;
// Below it firmware keeps its data (EBDA) on a real machine.
constexpr std::uint64_t kLowRamEnd = 0x9fc00;
constexpr std::size_t kMostCommandLine =
    kNoRamStart - 0x400 - kCommandLineAddress;

std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

template <typename T>
void Put(std::string* bytes, std::size_t offset, T value) {
  std::memcpy(&(*bytes)[offset], &value, sizeof(value));
}

struct MemoryRange {
  std::uint64_t start;
  std::uint64_t end;
  std::uint32_t type;
};

// Writes at an offset, all of it.
absl::Status WriteAt(int fd, const std::string& path, std::uint64_t offset,
                     const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pwrite(fd, bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return ErrnoStatus(errno, absl::StrCat("writing ", path),
                         "make room there, or set TMPDIR to another disk");
    }
    done += static_cast<std::size_t>(count);
  }
  return absl::OkStatus();
}

absl::Status WriteParts(int fd, const MemoryImage& image,
                        const std::string& initramfs_path,
                        const std::string& path) {
  absl::StatusOr<std::string> initramfs = ReadWholeFile(initramfs_path);
  if (!initramfs.ok()) return initramfs.status();
  const struct {
    std::uint64_t address;
    const std::string& bytes;
  } kParts[] = {{kBootParamsAddress, image.boot_params},
                {kCommandLineAddress, image.command_line},
                {image.kernel->base, image.kernel->memory},
                {image.initramfs_address, *initramfs}};
  for (const auto& [address, bytes] : kParts) {
    absl::Status written = WriteAt(fd, path, MemoryFileOffset(address), bytes);
    if (!written.ok()) return written;
  }
  const std::uint64_t end = MemoryFileOffset(
      RoundUp(image.initramfs_address + initramfs->size(), kPage));
  if (ftruncate(fd, static_cast<off_t>(end)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("resizing ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MemoryImage> LayOutMemory(const KernelImage& kernel,
                                         const std::string& command_line,
                                         std::uint64_t initramfs_bytes,
                                         std::uint64_t memory_bytes) {
  MemoryImage image;
  image.memory_bytes = memory_bytes;
  image.kernel = &kernel;
  image.command_line = command_line;
  image.command_line.push_back('\0');
  image.initramfs_address = RoundUp(kernel.end, 2 * kMebibyte);
  if (image.command_line.size() > kMostCommandLine) {
    return absl::OutOfRangeError("the kernel's command line is too long");
  }
  if (kernel.base < kNoRamEnd ||
      image.initramfs_address + initramfs_bytes > memory_bytes) {
    return absl::OutOfRangeError(absl::StrCat(
        "the kernel and an initramfs of ", initramfs_bytes / kMebibyte,
        " MiB do not fit into ", memory_bytes / kMebibyte, " MiB"));
  }
  image.boot_params.assign(kPage, '\0');
  std::memcpy(&image.boot_params[kSetupHeader], kernel.setup_header.data(),
              kernel.setup_header.size());
  std::string* params = &image.boot_params;
  Put<std::uint16_t>(params, kVideoMode, kNormalVideo);
  Put<std::uint8_t>(params, kLoaderType, kUndefinedLoader);
  Put<std::uint8_t>(params, kLoadFlags, kLoadedHigh);
  Put<std::uint32_t>(params, kInitrdAddress,
                     static_cast<std::uint32_t>(image.initramfs_address));
  Put<std::uint32_t>(params, kInitrdSize,
                     static_cast<std::uint32_t>(initramfs_bytes));
  Put<std::uint32_t>(params, kCommandLine,
                     static_cast<std::uint32_t>(kCommandLineAddress));
  const MemoryRange kRanges[] = {{0, kLowRamEnd, kE820Ram},
                                 {kLowRamEnd, kNoRamEnd, kE820Reserved},
                                 {kNoRamEnd, memory_bytes, kE820Ram}};
  std::uint8_t count = 0;
  for (const MemoryRange& range : kRanges) {
    const std::size_t at = kE820Table + kE820EntrySize * count++;
    Put<std::uint64_t>(params, at, range.start);
    Put<std::uint64_t>(params, at + 8, range.end - range.start);
    Put<std::uint32_t>(params, at + 16, range.type);
  }
  Put<std::uint8_t>(params, kE820Entries, count);
  return image;
}

std::uint64_t MemoryFileOffset(std::uint64_t address) {
  return address < kNoRamEnd ? address : address - (kNoRamEnd - kNoRamStart);
}

absl::Status WriteMemoryImage(const MemoryImage& image,
                              const std::string& initramfs_path,
                              const std::string& path) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("creating ", path));
  absl::Status written = WriteParts(fd, image, initramfs_path, path);
  if (close(fd) != 0 && written.ok()) {
    written = ErrnoStatus(errno, absl::StrCat("closing ", path));
  }
  return written;
}

std::string BootRom(const MemoryImage& image) {
  std::string rom(ws_lab_rom, ws_lab_rom_end);
  const auto at = static_cast<std::size_t>(ws_lab_rom_parameters - ws_lab_rom);
  Put<std::uint32_t>(&rom, at, static_cast<std::uint32_t>(image.memory_bytes));
  Put<std::uint32_t>(&rom, at + 4,
                     static_cast<std::uint32_t>(image.kernel->entry));
  Put<std::uint32_t>(&rom, at + 8,
                     static_cast<std::uint32_t>(kBootParamsAddress));
  return rom;
}

}  // namespace worldswitch
