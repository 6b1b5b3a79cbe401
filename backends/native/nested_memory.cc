#include "backends/native/nested_memory.h"

namespace worldswitch {
namespace {

// Behind all memory and below the end of any CPU's physical addresses, which
// are 36 bits at least: the aliases. The hole above the memory ends there.
constexpr std::uint64_t kFirstAlias = std::uint64_t{16} << 30;
constexpr std::uint64_t kAliasStride = std::uint64_t{1} << 30;

std::uint64_t AlignDown(std::uint64_t address, NestedPageSize size) {
  return address & ~(BytesOf(size) - 1);
}

NestedAccess AccessOf(NestedPageState state) {
  switch (state) {
    case NestedPageState::kMapped:
      break;
    case NestedPageState::kReadOnly:
      return kNestedRead | kNestedExecute;
    case NestedPageState::kNotPresent:
      return 0;
    case NestedPageState::kMisconfigured:
      return kNestedPoison;
  }
  return kNestedAll;
}

Result ResultOf(bool done) { return done ? Result::kOk : Result::kError; }

}  // namespace

NestedMemory::NestedMemory(const HostServices& host, NestedFormat format,
                           NestedPageSize wanted, NestedPageSize supported)
    : host_(host),
      supported_(supported),
      largest_(wanted < supported ? wanted : supported),
      tables_(host, format, largest_) {}

bool NestedMemory::Create(std::uint64_t bytes) {
  if (!tables_.ok() || bytes == 0 || bytes > kFirstAlias) return false;
  // Aligned to the largest page that can map it, if the host has such a piece.
  for (int size = static_cast<int>(largest_); !pages_ && size >= 0; --size) {
    const std::uint64_t alignment = BytesOf(static_cast<NestedPageSize>(size));
    if (bytes >= alignment) {
      pages_ = HostPages(host_, bytes / kPageBytes, alignment);
    }
  }
  if (!pages_) return false;
  regions_[0] = {.gpa = 0, .bytes = bytes, .host_physical = pages_.physical()};
  return tables_.Map(0, regions_[0].host_physical, bytes);
}

const NestedMemory::Region* NestedMemory::RegionOf(std::uint64_t gpa) const {
  const std::uint64_t index =
      gpa < kFirstAlias ? 0 : 1 + (gpa - kFirstAlias) / kAliasStride;
  return index <= kPageSizes && regions_[index].Contains(gpa) ? &regions_[index]
                                                              : nullptr;
}

bool NestedMemory::MapPage(const Region& region, std::uint64_t gpa,
                           NestedPageSize size, NestedAccess access) {
  const std::uint64_t page = AlignDown(gpa, size);
  return tables_.MapOne(page, region.host_physical + (page - region.gpa), size,
                        access);
}

bool NestedMemory::Discard(std::uint64_t gpa, std::uint64_t bytes) {
  std::byte* const at = view().At(gpa, bytes);
  if (at == nullptr || (gpa | bytes) % kPageBytes != 0 ||
      !tables_.Unmap(gpa, bytes)) {
    return false;
  }
  __builtin_memset(at, 0, bytes);
  return true;
}

bool NestedMemory::Serve(std::uint64_t gpa) {
  const Region* const region = RegionOf(gpa);
  if (region == nullptr) return false;
  const NestedTranslation found = tables_.Find(gpa);
  if (found.restricted) return false;
  // Else the CPU's view was old.
  return found.present || MapPage(*region, gpa, found.size, kNestedAll);
}

Result NestedMemory::MapAlias(std::uint64_t gpa, NestedPageSize size,
                              std::uint64_t* alias) {
  if (size > supported_) return Result::kUnsupported;
  if (!regions_[0].Contains(gpa)) return Result::kError;
  const auto index = static_cast<std::size_t>(size);
  const std::uint64_t byte = regions_[0].host_physical + gpa;
  Region& region = regions_[1 + index];
  region = {.gpa = kFirstAlias + kAliasStride * index,
            .bytes = BytesOf(size),
            .host_physical = AlignDown(byte, size),
            .page_size = size};
  *alias = region.gpa + (byte - region.host_physical);
  if (MapPage(region, region.gpa, size, kNestedAll)) return Result::kOk;
  region.bytes = 0;
  return Result::kError;
}

Result NestedMemory::SetState(std::uint64_t gpa, NestedPageState state) {
  const Region* const region = RegionOf(gpa);
  if (region == nullptr) return SetHole(gpa, state);
  const NestedPageSize size =
      region == &regions_[0] ? tables_.Find(gpa).size : region->page_size;
  return ResultOf(MapPage(*region, gpa, size, AccessOf(state)));
}

Result NestedMemory::SetHole(std::uint64_t gpa, NestedPageState state) {
  const std::uint64_t page = AlignDown(gpa, NestedPageSize::k4KiB);
  if (page >= kFirstAlias) return Result::kError;
  switch (state) {
    case NestedPageState::kMisconfigured:
      return ResultOf(
          tables_.MapOne(page, 0, NestedPageSize::k4KiB, kNestedPoison));
    case NestedPageState::kNotPresent:  // as the hole is by itself
      return ResultOf(tables_.Unmap(page, kPageBytes));
    default:
      return Result::kError;
  }
}

}  // namespace worldswitch
