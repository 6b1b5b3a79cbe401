#include "backends/vmx_intel/native/vmx_memory.h"

#include "backends/vmx_intel/native/vmx_instruction.h"

namespace worldswitch {
namespace {

// IA32_VMX_EPT_VPID_CAP.
constexpr unsigned kCap2M = 16;
constexpr unsigned kCap1G = 17;
constexpr unsigned kCapAccessedDirty = 21;
constexpr unsigned kCapSingleContext = 25;

// EPT pointer ("Extended-Page-Table Pointer (EPTP)").
constexpr std::uint64_t kWriteBack = 6;
constexpr std::uint64_t kFourLevels = 3 << 3;
constexpr std::uint64_t kAccessedDirty = 1 << 6;

// The aliases: behind all memory, a GiB apart, below any MAXPHYADDR.
constexpr std::uint64_t kFirstAlias = std::uint64_t{8} << 30;
constexpr std::uint64_t kAliasStride = std::uint64_t{1} << 30;

bool Has(const VmxCapabilities& capabilities, unsigned bit) {
  return ((capabilities.Value(VmxMsr::kEptVpidCap) >> bit) & 1) != 0;
}

NestedPageSize Allowed(const VmxCapabilities& capabilities,
                       NestedPageSize wanted) {
  NestedPageSize size = wanted;
  if (size == NestedPageSize::k1GiB && !Has(capabilities, kCap1G)) {
    size = NestedPageSize::k2MiB;
  }
  if (size == NestedPageSize::k2MiB && !Has(capabilities, kCap2M)) {
    size = NestedPageSize::k4KiB;
  }
  return size;
}

NestedAccess AccessOf(NestedPageState state) {
  switch (state) {
    case NestedPageState::kReadOnly:
      return kNestedRead | kNestedExecute;
    case NestedPageState::kNotPresent:
      return 0;
    default:
      return kNestedAll;
  }
}

}  // namespace

bool HasEptPages(const VmxCapabilities& capabilities, NestedPageSize size) {
  return Allowed(capabilities, size) == size;
}

VmxMemory::VmxMemory(const HostServices& host,
                     const VmxCapabilities& capabilities,
                     NestedPageSize largest, bool accessed_dirty)
    : host_(host),
      capabilities_(capabilities),
      tables_(host, NestedFormat::kEpt, Allowed(capabilities, largest)),
      invept_type_(Has(capabilities, kCapSingleContext) ? vmx::kSingleContext
                                                        : vmx::kAllContexts) {
  if (!tables_.ok()) return;
  eptp_ = tables_.root() | kWriteBack | kFourLevels;
  if (accessed_dirty && Has(capabilities, kCapAccessedDirty)) {
    eptp_ |= kAccessedDirty;
  }
}

// The next VM's tables may lie where these did.
VmxMemory::~VmxMemory() {
  if (eptp_ != 0) Invalidate();
}

bool VmxMemory::Create(std::uint64_t bytes) {
  if (eptp_ == 0 || bytes == 0 || bytes > kFirstAlias) return false;
  // Aligned to the largest page that fits into it.
  std::size_t alignment = kPageBytes;
  for (const NestedPageSize size :
       {NestedPageSize::k2MiB, NestedPageSize::k1GiB}) {
    if (HasEptPages(capabilities_, size) && bytes >= BytesOf(size)) {
      alignment = BytesOf(size);
    }
  }
  pages_ = HostPages(host_, bytes / kPageBytes, alignment);
  if (!pages_ && alignment > BytesOf(NestedPageSize::k2MiB)) {
    pages_ =
        HostPages(host_, bytes / kPageBytes, BytesOf(NestedPageSize::k2MiB));
  }
  if (!pages_) return false;
  bytes_ = bytes;
  regions_[0] = {.gpa = 0, .bytes = bytes, .host_physical = pages_.physical()};
  if (!tables_.Map(0, regions_[0].host_physical, bytes)) return false;
  Invalidate();
  return true;
}

MemoryView VmxMemory::view() const {
  return {.host = pages_.as<std::byte>(), .gpa = 0, .size = bytes_};
}

const VmxMemory::Region* VmxMemory::RegionOf(std::uint64_t gpa) const {
  for (const Region& region : regions_) {
    if (region.Contains(gpa)) return &region;
  }
  return nullptr;
}

const VmxMemory::Page* VmxMemory::PageOf(std::uint64_t gpa) const {
  for (const Page& page : set_) {
    if (page.bytes != 0 && gpa - page.gpa < page.bytes) return &page;
  }
  return nullptr;
}

VmxMemory::Fault VmxMemory::FaultAt(std::uint64_t gpa) const {
  if (PageOf(gpa) != nullptr) return Fault::kCaller;
  return RegionOf(gpa) != nullptr ? Fault::kServe : Fault::kDevice;
}

bool VmxMemory::Serve(std::uint64_t gpa) {
  const Region* region = RegionOf(gpa);
  if (region == nullptr || tables_.Find(gpa).present) return false;
  const std::uint64_t page = gpa & ~(std::uint64_t{kPageBytes} - 1);
  // Nothing to invalidate: what is not present is not cached, and the
  // violation itself has invalidated what led there.
  return tables_.Map(page, region->host_physical + (page - region->gpa),
                     kPageBytes);
}

Result VmxMemory::Discard(std::uint64_t gpa, std::uint64_t length) {
  std::byte* bytes = view().At(gpa, length);
  if (bytes == nullptr || ((gpa | length) & (kPageBytes - 1)) != 0 ||
      !tables_.Unmap(gpa, length)) {
    return Result::kError;
  }
  __builtin_memset(bytes, 0, length);
  Invalidate();
  return Result::kOk;
}

Result VmxMemory::MapAlias(std::uint64_t gpa, NestedPageSize size,
                           std::uint64_t* alias) {
  if (!HasEptPages(capabilities_, size)) return Result::kUnsupported;
  if (!regions_[0].Contains(gpa)) return Result::kError;
  const std::uint64_t byte = regions_[0].host_physical + gpa;
  const auto index = static_cast<std::size_t>(size);
  Region& region = regions_[1 + index];
  region.gpa = kFirstAlias + kAliasStride * index;
  region.bytes = BytesOf(size);
  region.host_physical = byte & ~(BytesOf(size) - 1);
  for (Page& page : set_) {
    if (page.bytes != 0 && region.Contains(page.gpa)) page.bytes = 0;
  }
  if (!tables_.MapOne(region.gpa, region.host_physical, size)) {
    region.bytes = 0;
    return Result::kError;
  }
  *alias = region.gpa + (byte & (BytesOf(size) - 1));
  Invalidate();
  return Result::kOk;
}

bool VmxMemory::Apply(const Page& page) {
  if (page.state == NestedPageState::kMisconfigured) {
    return tables_.Poison(page.gpa, page.bytes);
  }
  const Region* region = RegionOf(page.gpa);
  if (region == nullptr) return tables_.Unmap(page.gpa, page.bytes);
  const std::uint64_t host = region->host_physical + (page.gpa - region->gpa);
  for (const NestedPageSize size :
       {NestedPageSize::k4KiB, NestedPageSize::k2MiB, NestedPageSize::k1GiB}) {
    if (BytesOf(size) == page.bytes) {
      return tables_.MapOne(page.gpa, host, size, AccessOf(page.state));
    }
  }
  return false;
}

Result VmxMemory::SetPage(std::uint64_t gpa, NestedPageState state) {
  const Region* region = RegionOf(gpa);
  if (region == nullptr && state != NestedPageState::kMisconfigured &&
      state != NestedPageState::kNotPresent) {
    return Result::kError;
  }
  Page page;
  const Page* known = PageOf(gpa);
  if (known != nullptr) {
    page = *known;
  } else {
    const NestedTranslation found = tables_.Find(gpa);
    page.bytes =
        found.present ? BytesOf(found.size) : std::uint64_t{kPageBytes};
    page.gpa = gpa & ~(page.bytes - 1);
  }
  page.state = state;
  // In the hole, not present is how it is by itself.
  const bool plain = region == nullptr ? state == NestedPageState::kNotPresent
                                       : state == NestedPageState::kMapped;
  Page* slot = nullptr;
  for (Page& entry : set_) {
    if (&entry == known) slot = &entry;
  }
  for (Page& entry : set_) {
    if (slot == nullptr && entry.bytes == 0) slot = &entry;
  }
  if (slot == nullptr && !plain) return Result::kError;
  if (!Apply(page)) return Result::kError;
  if (slot != nullptr) {
    *slot = page;
    if (plain) slot->bytes = 0;
  }
  Invalidate();
  return Result::kOk;
}

void VmxMemory::Invalidate() const {
  vmx::Invept(invept_type_, {.first = eptp_, .second = 0});
}

}  // namespace worldswitch
