#include "core/host/guest_memory.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;
constexpr char kHugetlbPool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

bool UsesHugePages(MemoryBacking backing) {
  return backing == MemoryBacking::kHuge || backing == MemoryBacking::kHugetlb;
}

// What Discard can take away at a time. THP is advice: the kernel splits.
std::uint64_t PageSize(MemoryBacking backing) {
  return backing == MemoryBacking::kHugetlb ? kHugePage : kPage;
}

std::uint64_t RoundUp(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::string HugetlbRemedy(std::uint64_t bytes) {
  const auto count = [](const char* file) {
    std::uint64_t pages = 0;
    std::ifstream(std::string(kHugetlbPool) + file) >> pages;
    return pages;
  };
  const std::uint64_t needed = bytes / kHugePage;
  const std::uint64_t total = count("nr_hugepages");
  const std::uint64_t free = count("free_hugepages");
  const std::uint64_t used = total > free ? total - free : 0;
  return absl::StrCat(
      "It needs ", needed, " pages of 2 MiB, and ", free, " of the pool's ",
      total, " are free (some may be reserved): as root, echo ", used + needed,
      " > ", kHugetlbPool, "nr_hugepages, or choose another backing");
}

// Maps `bytes` of private anonymous memory, or gives MAP_FAILED with errno.
void* MapPrivate(std::uint64_t bytes, int more_flags) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
}

// The same, starting at a multiple of 2 MiB: maps one huge page more, and gives
// back what is before and behind.
void* MapAligned(std::uint64_t bytes) {
  void* mapped = MapPrivate(bytes + kHugePage, MAP_NORESERVE);
  if (mapped == MAP_FAILED) return mapped;
  auto* first = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<std::uintptr_t>(first);
  const std::uint64_t before = RoundUp(address, kHugePage) - address;
  if (before != 0) munmap(first, before);
  if (before != kHugePage) munmap(first + before + bytes, kHugePage - before);
  return first + before;
}

}  // namespace

absl::StatusOr<GuestMemory> GuestMemory::Create(std::uint64_t bytes,
                                                MemoryBacking backing) {
  const std::string attempted = absl::StrCat(
      "mapping ", bytes, " bytes of ", MemoryBackingName(backing), " memory");
  constexpr char kLess[] = "Ask for less memory, or choose another backing";
  if (bytes == 0 || bytes % kPage != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        attempted, ": the size must be a positive multiple of ", kPage));
  }
  // Room for the rounding below.
  if (bytes > std::numeric_limits<std::uint64_t>::max() - 2 * kHugePage) {
    return ErrnoStatus(ENOMEM, attempted, kLess);
  }
  if (UsesHugePages(backing)) bytes = RoundUp(bytes, kHugePage);

  GuestMemory memory;
  memory.backing_ = backing;
  void* mapped = MAP_FAILED;
  switch (backing) {
    case MemoryBacking::kAnonymous:
      mapped = MapPrivate(bytes, MAP_NORESERVE);
      break;
    case MemoryBacking::kHuge:
      mapped = MapAligned(bytes);
      break;
    case MemoryBacking::kHugetlb:
      // Reserved, not MAP_NORESERVE: a short pool is an error here, not a
      // SIGBUS when the guest touches the page.
      mapped = MapPrivate(bytes, MAP_HUGETLB | MAP_HUGE_2MB);
      break;
    case MemoryBacking::kMemfd:
      memory.fd_ = memfd_create("worldswitch-guest", MFD_CLOEXEC);
      if (memory.fd_ < 0) return ErrnoStatus(errno, "memfd_create");
      if (ftruncate(memory.fd_, static_cast<off_t>(bytes)) != 0) {
        return ErrnoStatus(errno, attempted, kLess);
      }
      mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, memory.fd_, 0);
      break;
  }
  if (mapped == MAP_FAILED) {
    const int error_number = errno;
    return ErrnoStatus(
        error_number, attempted,
        backing == MemoryBacking::kHugetlb ? HugetlbRemedy(bytes) : kLess);
  }
  memory.data_ = static_cast<std::byte*>(mapped);
  memory.size_ = bytes;
  if (backing == MemoryBacking::kHuge &&
      madvise(mapped, bytes, MADV_HUGEPAGE) != 0) {
    return ErrnoStatus(errno, absl::StrCat(attempted, ": MADV_HUGEPAGE"),
                       "The kernel has no transparent huge pages; choose "
                       "another backing");
  }
  return memory;
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      backing_(other.backing_) {}

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
  GuestMemory taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  std::swap(fd_, taken.fd_);
  std::swap(backing_, taken.backing_);
  return *this;
}

GuestMemory::~GuestMemory() {
  if (data_ != nullptr) munmap(data_, size_);
  if (fd_ >= 0) close(fd_);
}

absl::Status GuestMemory::Discard(std::uint64_t offset, std::uint64_t length) {
  const std::string attempted =
      absl::StrCat("discarding ", length, " bytes at ", offset, " of ",
                   MemoryBackingName(backing_), " memory");
  if (offset > size_ || length > size_ - offset) {
    return absl::OutOfRangeError(
        absl::StrCat(attempted, ": it has ", size_, " bytes"));
  }
  const std::uint64_t page = PageSize(backing_);
  if (offset % page != 0 || length % page != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(attempted, ": both must be multiples of ", page));
  }
  if (length == 0) return absl::OkStatus();
  // A shared mapping keeps its pages through MADV_DONTNEED: the file must lose
  // them.
  const int result =
      backing_ == MemoryBacking::kMemfd
          ? fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(offset), static_cast<off_t>(length))
          : madvise(data_ + offset, length, MADV_DONTNEED);
  if (result == 0) return absl::OkStatus();
  const int error_number = errno;
  return ErrnoStatus(error_number, attempted,
                     backing_ == MemoryBacking::kHugetlb
                         ? "hugetlb pages can be discarded from Linux 5.18 on"
                         : "");
}

const char* MemoryBackingName(MemoryBacking backing) {
  switch (backing) {
    case MemoryBacking::kAnonymous:
      return "anonymous";
    case MemoryBacking::kHuge:
      return "huge";
    case MemoryBacking::kHugetlb:
      return "hugetlb";
    case MemoryBacking::kMemfd:
      return "memfd";
  }
  return "(no such backing)";
}

}  // namespace worldswitch
