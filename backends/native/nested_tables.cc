#include "backends/native/nested_tables.h"

#include <cstddef>

namespace worldswitch {
namespace {

constexpr unsigned kEntries = 512;
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000;

// EPT: SDM 3C, "Format of EPT Entries".
constexpr std::uint64_t kEptRead = 1;
constexpr std::uint64_t kEptWrite = 2;
constexpr std::uint64_t kEptExecute = 4;
constexpr std::uint64_t kEptAll = kEptRead | kEptWrite | kEptExecute;
constexpr std::uint64_t kEptWriteBack = 6 << 3;  // memory type of a leaf

// NPT: those of long mode (APM 2, 5.3). Every nested access is a user access.
constexpr std::uint64_t kNptPresent = 1;
constexpr std::uint64_t kNptWrite = 2;
constexpr std::uint64_t kNptUser = 4;
constexpr std::uint64_t kNptNoExecute = std::uint64_t{1} << 63;
// A physical address that no CPU has: reserved.
constexpr std::uint64_t kNptReserved = std::uint64_t{1} << 51;
// What tells a page that allows everything, and how it looks there.
constexpr std::uint64_t kNptRights =
    kNptPresent | kNptWrite | kNptNoExecute | kNptReserved;
constexpr std::uint64_t kNptAll = kNptPresent | kNptWrite;

// Both: a leaf above the lowest level.
constexpr std::uint64_t kLarge = 1 << 7;

constexpr std::uint64_t LevelBytes(int level) {
  return std::uint64_t{kPageBytes} << (9 * level);
}

constexpr unsigned Index(std::uint64_t gpa, int level) {
  return static_cast<unsigned>(gpa >> (12 + 9 * level)) % kEntries;
}

// Whether a page of that level fits at the start of a range.
bool Fits(std::uint64_t gpa, std::uint64_t host, std::uint64_t bytes,
          int level) {
  return ((gpa | host) & (LevelBytes(level) - 1)) == 0 &&
         bytes >= LevelBytes(level);
}

}  // namespace

struct NestedTables::Table {
  std::uint64_t entries[kEntries];
  // The tables that the entries link to, by the host's addresses: the entries
  // hold physical ones, and nothing here assumes a way back.
  Table* below[kEntries];
};

NestedTables::NestedTables(const HostServices& host, NestedFormat format,
                           NestedPageSize largest)
    : host_(host), format_(format), largest_(largest), root_(NewTable()) {}

NestedTables::~NestedTables() {
  if (root_ != nullptr) FreeTable(root_, 3);
}

std::uint64_t NestedTables::Physical(const Table* table) const {
  return host_.physical_address(host_.context, table);
}

NestedTables::Table* NestedTables::NewTable() const {
  return static_cast<Table*>(host_.allocate_pages(
      host_.context, sizeof(Table) / kPageBytes, kPageBytes));
}

void NestedTables::FreeTable(Table* table, int level) {
  if (level > 0) {
    for (Table* below : table->below) {
      if (below != nullptr) FreeTable(below, level - 1);
    }
  }
  host_.free_pages(host_.context, table, sizeof(Table) / kPageBytes);
}

std::uint64_t NestedTables::Link(const Table* table) const {
  return Physical(table) |
         (format_ == NestedFormat::kEpt ? kEptAll
                                        : kNptPresent | kNptWrite | kNptUser);
}

// Never 0: where nothing is allowed there is a memory type, or U/S.
std::uint64_t NestedTables::Leaf(std::uint64_t host_physical,
                                 NestedAccess access, int level) const {
  const std::uint64_t page = host_physical | (level > 0 ? kLarge : 0);
  if (format_ == NestedFormat::kEpt) {
    return page | kEptWriteBack | ((access & kNestedRead) != 0 ? kEptRead : 0) |
           ((access & kNestedWrite) != 0 ? kEptWrite : 0) |
           ((access & kNestedExecute) != 0 ? kEptExecute : 0);
  }
  return page | kNptUser | (access != 0 ? kNptPresent : 0) |
         ((access & kNestedWrite) != 0 ? kNptWrite : 0) |
         ((access & kNestedExecute) != 0 ? 0 : kNptNoExecute) |
         (access == kNestedPoison ? kNptReserved : 0);
}

bool NestedTables::Split(Table* table, unsigned index, int level) {
  Table* below = NewTable();
  if (below == nullptr) return false;
  const std::uint64_t entry = table->entries[index];
  if (entry != 0) {
    // The same page in 512 pieces; of the lowest level they are not large.
    const std::uint64_t piece = level == 1 ? entry & ~kLarge : entry;
    for (unsigned i = 0; i < kEntries; ++i) {
      below->entries[i] = piece + LevelBytes(level - 1) * i;
    }
  }
  table->entries[index] = Link(below);
  table->below[index] = below;
  return true;
}

bool NestedTables::Apply(Change change, Range range) {
  const int largest = static_cast<int>(largest_);
  while (range.bytes > 0) {
    Table* table = root_;
    for (int level = 3;; --level) {
      const unsigned index = Index(range.gpa, level);
      const bool has_below = table->below[index] != nullptr;
      // Unmapping keeps to the pages there are.
      const bool is_leaf = level == 0 || (!has_below && level <= largest &&
                                          Fits(range.gpa, range.host_physical,
                                               range.bytes, level));
      if (is_leaf) {
        table->entries[index] =
            change == Change::kMap
                ? Leaf(range.host_physical, range.access, level)
                : 0;
        const std::uint64_t done = LevelBytes(level);
        range.gpa += done;
        range.host_physical += change == Change::kMap ? done : 0;
        range.bytes -= done;
        break;
      }
      if (!has_below && !Split(table, index, level)) return false;
      table = table->below[index];
    }
  }
  return true;
}

bool NestedTables::Map(std::uint64_t gpa, std::uint64_t host_physical,
                       std::uint64_t bytes, NestedAccess access) {
  return Apply(Change::kMap, {.gpa = gpa,
                              .host_physical = host_physical,
                              .bytes = bytes,
                              .access = access});
}

bool NestedTables::MapOne(std::uint64_t gpa, std::uint64_t host_physical,
                          NestedPageSize size, NestedAccess access) {
  const int target = static_cast<int>(size);
  Table* table = root_;
  for (int level = 3; level > target; --level) {
    const unsigned index = Index(gpa, level);
    if (table->below[index] == nullptr && !Split(table, index, level)) {
      return false;
    }
    table = table->below[index];
  }
  const unsigned index = Index(gpa, target);
  table->entries[index] = Leaf(host_physical, access, target);
  if (table->below[index] != nullptr) {
    FreeTable(table->below[index], target - 1);
    table->below[index] = nullptr;
  }
  return true;
}

bool NestedTables::Unmap(std::uint64_t gpa, std::uint64_t bytes) {
  return Apply(Change::kUnmap,
               {.gpa = gpa, .host_physical = 0, .bytes = bytes, .access = 0});
}

NestedTranslation NestedTables::Find(std::uint64_t gpa) const {
  const Table* table = root_;
  for (int level = 3;; --level) {
    const unsigned index = Index(gpa, level);
    if (table->below[index] != nullptr) {
      table = table->below[index];
      continue;
    }
    const std::uint64_t entry = table->entries[index];
    const bool is_ept = format_ == NestedFormat::kEpt;
    const bool present =
        is_ept ? (entry & (kEptRead | kEptExecute)) != 0
               : (entry & (kNptPresent | kNptReserved)) == kNptPresent;
    const bool restricted =
        entry != 0 && (is_ept ? (entry & kEptAll) != kEptAll
                              : (entry & kNptRights) != kNptAll);
    if (!present) {
      // An entry above the largest page's level divides into those.
      return {.present = false,
              .restricted = restricted,
              .host_physical = 0,
              .size = level > static_cast<int>(NestedPageSize::k1GiB)
                          ? NestedPageSize::k1GiB
                          : static_cast<NestedPageSize>(level)};
    }
    const std::uint64_t offset = gpa & (LevelBytes(level) - 1);
    return {.present = true,
            .restricted = restricted,
            .host_physical =
                (entry & kAddressMask & ~(LevelBytes(level) - 1)) + offset,
            .size = static_cast<NestedPageSize>(level)};
  }
}

}  // namespace worldswitch
