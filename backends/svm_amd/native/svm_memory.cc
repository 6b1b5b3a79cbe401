#include "backends/svm_amd/native/svm_memory.h"

namespace worldswitch::svm {
namespace {

// Where the aliases lie, by page size: above any memory that the image can
// give, below the smallest physical address space of a processor with SVM.
constexpr std::uint64_t kAliasBase = std::uint64_t{16} << 30;
constexpr std::uint64_t kAliasStep = std::uint64_t{1} << 30;
// The hole above the memory ends here.
constexpr std::uint64_t kHoleEnd = std::uint64_t{4} << 30;

std::uint64_t AlignDown(std::uint64_t address, std::uint64_t bytes) {
  return address & ~(bytes - 1);
}

// As the memory's start would best be aligned.
std::size_t AlignmentFor(std::uint64_t bytes, NestedPageSize largest) {
  for (const NestedPageSize size :
       {NestedPageSize::k1GiB, NestedPageSize::k2MiB}) {
    if (size <= largest && bytes >= BytesOf(size)) return BytesOf(size);
  }
  return kPageBytes;
}

NestedPageSize Largest(NestedPageSize largest, bool has_1gib_pages) {
  return largest == NestedPageSize::k1GiB && !has_1gib_pages
             ? NestedPageSize::k2MiB
             : largest;
}

}  // namespace

SvmMemory::SvmMemory(const HostServices& host, std::uint64_t bytes,
                     NestedPageSize largest, bool has_1gib_pages)
    : bytes_(bytes),
      has_1gib_pages_(has_1gib_pages),
      memory_(host, bytes / kPageBytes, AlignmentFor(bytes, largest)),
      tables_(host, NestedFormat::kNpt, Largest(largest, has_1gib_pages)),
      asked_(host, (bytes / kPageBytes / 8 + kPageBytes - 1) / kPageBytes + 1) {
  ok_ = memory_ && asked_ && tables_.ok() &&
        tables_.Map(0, memory_.physical(), bytes);
}

MemoryView SvmMemory::view() const {
  return {.host = memory_.as<std::byte>(), .gpa = 0, .size = bytes_};
}

bool SvmMemory::Discard(std::uint64_t gpa, std::uint64_t bytes) {
  std::byte* const at = view().At(gpa, bytes);
  if (at == nullptr || (gpa | bytes) % kPageBytes != 0) return false;
  if (!tables_.Unmap(gpa, bytes)) return false;
  __builtin_memset(at, 0, bytes);
  SetAsked(gpa, bytes, false);
  return true;
}

bool SvmMemory::Serve(std::uint64_t gpa) {
  if (gpa >= bytes_ || IsAsked(gpa)) return false;
  const NestedTranslation found = tables_.Find(gpa);
  if (found.present) return true;  // the processor's view was old
  const std::uint64_t page = AlignDown(gpa, BytesOf(found.size));
  return tables_.MapOne(page, memory_.physical() + page, found.size);
}

Result SvmMemory::MapAlias(std::uint64_t gpa, NestedPageSize size,
                           std::uint64_t* alias) {
  if (size == NestedPageSize::k1GiB && !has_1gib_pages_) {
    return Result::kUnsupported;
  }
  if (gpa >= bytes_) return Result::kError;
  const std::uint64_t bytes = BytesOf(size);
  const std::uint64_t byte = memory_.physical() + gpa;
  const auto index = static_cast<std::size_t>(size);
  Alias& made = aliases_[index];
  made.gpa = kAliasBase + index * kAliasStep;
  made.host_physical = AlignDown(byte, bytes);
  made.is_mapped = tables_.MapOne(made.gpa, made.host_physical, size);
  *alias = made.gpa + byte % bytes;
  return made.is_mapped ? Result::kOk : Result::kError;
}

Result SvmMemory::SetState(std::uint64_t gpa, NestedPageState state) {
  NestedPageSize size = NestedPageSize::k4KiB;
  const Alias* const alias = AliasOf(gpa, &size);
  if (alias != nullptr) {
    return Change(alias->gpa, alias->host_physical, size, state)
               ? Result::kOk
               : Result::kError;
  }
  if (gpa < bytes_) {
    size = tables_.Find(gpa).size;
    const std::uint64_t page = AlignDown(gpa, BytesOf(size));
    if (!Change(page, memory_.physical() + page, size, state)) {
      return Result::kError;
    }
    SetAsked(page, BytesOf(size), state != NestedPageState::kMapped);
    return Result::kOk;
  }
  if (gpa >= kHoleEnd || state == NestedPageState::kMapped ||
      state == NestedPageState::kReadOnly) {
    return Result::kError;
  }
  return Change(AlignDown(gpa, kPageBytes), 0, NestedPageSize::k4KiB, state)
             ? Result::kOk
             : Result::kError;
}

bool SvmMemory::IsAlias(std::uint64_t gpa) const {
  NestedPageSize size;
  return AliasOf(gpa, &size) != nullptr;
}

const SvmMemory::Alias* SvmMemory::AliasOf(std::uint64_t gpa,
                                           NestedPageSize* size) const {
  for (std::size_t i = 0; i < 3; ++i) {
    *size = static_cast<NestedPageSize>(i);
    const Alias& alias = aliases_[i];
    if (alias.is_mapped && AlignDown(gpa, BytesOf(*size)) == alias.gpa) {
      return &alias;
    }
  }
  return nullptr;
}

bool SvmMemory::Change(std::uint64_t page, std::uint64_t host_physical,
                       NestedPageSize size, NestedPageState state) {
  switch (state) {
    case NestedPageState::kMapped:
      return tables_.MapOne(page, host_physical, size);
    case NestedPageState::kReadOnly:
      return tables_.MapOne(page, host_physical, size,
                            kNestedRead | kNestedExecute);
    case NestedPageState::kNotPresent:
      return tables_.MapOne(page, host_physical, size, 0);
    case NestedPageState::kMisconfigured:
      return tables_.Poison(page, BytesOf(size));
  }
  return false;
}

bool SvmMemory::IsAsked(std::uint64_t gpa) const {
  const std::uint64_t page = gpa / kPageBytes;
  return (asked_.as<std::uint8_t>()[page / 8] >> (page % 8) & 1) != 0;
}

void SvmMemory::SetAsked(std::uint64_t gpa, std::uint64_t bytes, bool asked) {
  auto* const map = asked_.as<std::uint8_t>();
  const std::uint64_t end =
      (gpa + bytes < bytes_ ? gpa + bytes : bytes_) / kPageBytes;
  for (std::uint64_t page = gpa / kPageBytes; page < end; ++page) {
    const auto bit = static_cast<std::uint8_t>(1u << (page % 8));
    std::uint8_t& byte = map[page / 8];
    byte = static_cast<std::uint8_t>(asked ? byte | bit : byte & ~bit);
  }
}

}  // namespace worldswitch::svm
