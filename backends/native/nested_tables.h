// Second-level page tables, four levels deep: EPT (SDM 3C, "The Extended Page
// Table Mechanism") or NPT (APM 2, 15.25). The two differ in a handful of bits;
// building, splitting and looking up are the same.
//
// Whoever changes an entry that may be cached flushes: INVEPT or TLB_CONTROL is
// the vendor's business. One thread at a time. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_NESTED_TABLES_H_
#define WORLDSWITCH_BACKENDS_NATIVE_NESTED_TABLES_H_

#include <cstdint>

#include "backends/native/host_services.h"
#include "core/features/processor_controls.h"

namespace worldswitch {

enum class NestedFormat : std::uint8_t { kEpt, kNpt };

// What the guest may do with a page; combine with |. EPT holds any set but a
// write without read; NPT allows reading with any.
using NestedAccess = std::uint8_t;
inline constexpr NestedAccess kNestedRead = 1;
inline constexpr NestedAccess kNestedWrite = 2;
inline constexpr NestedAccess kNestedExecute = 4;
inline constexpr NestedAccess kNestedAll =
    kNestedRead | kNestedWrite | kNestedExecute;
// What no page can be: the next touch is an EPT misconfiguration (writable, not
// readable), or a nested page fault with RSVD set in its error code.
inline constexpr NestedAccess kNestedPoison = kNestedWrite;

struct NestedTranslation {
  bool present = false;
  // Mapped with less than kNestedAll, which may be nothing.
  bool restricted = false;
  std::uint64_t host_physical = 0;
  // Of the page, or of the piece that no table below divides further.
  NestedPageSize size = NestedPageSize::k4KiB;
};

class NestedTables {
 public:
  // largest: the largest page that Map uses. The host outlives the tables.
  NestedTables(const HostServices& host, NestedFormat format,
               NestedPageSize largest);
  ~NestedTables();
  NestedTables(const NestedTables&) = delete;
  NestedTables& operator=(const NestedTables&) = delete;

  // False: the host had no page for the root.
  bool ok() const { return root_ != nullptr; }
  // Of the PML4, for the EPTP or nCR3.
  std::uint64_t root() const { return Physical(root_); }

  // All addresses and lengths are multiples of 4096. False: the host has no
  // page left for a table; what was done so far stays.

  // In the largest pages, up to `largest`, that fit and are aligned on both
  // sides.
  bool Map(std::uint64_t gpa, std::uint64_t host_physical, std::uint64_t bytes,
           NestedAccess access = kNestedAll);
  // One page of exactly that size, whatever `largest` is: the CPU has them.
  // Both addresses are aligned to it. Smaller pages that were there go, with
  // their tables; so flush before memory is given to anybody else. Access 0
  // is a page that is not present.
  bool MapOne(std::uint64_t gpa, std::uint64_t host_physical,
              NestedPageSize size, NestedAccess access = kNestedAll);
  // The next touch is an EPT violation or a nested page fault. Pages larger
  // than the range are split.
  bool Unmap(std::uint64_t gpa, std::uint64_t bytes);

  NestedTranslation Find(std::uint64_t gpa) const;

 private:
  struct Table;  // a page of entries, and where the tables below lie
  enum class Change : std::uint8_t { kMap, kUnmap };
  struct Range {
    std::uint64_t gpa;
    std::uint64_t host_physical;
    std::uint64_t bytes;
    NestedAccess access;
  };

  std::uint64_t Physical(const Table* table) const;
  Table* NewTable() const;
  void FreeTable(Table* table, int level);
  bool Apply(Change change, Range range);
  std::uint64_t Leaf(std::uint64_t host_physical, NestedAccess access,
                     int level) const;
  std::uint64_t Link(const Table* table) const;
  bool Split(Table* table, unsigned index, int level);

  const HostServices& host_;
  const NestedFormat format_;
  const NestedPageSize largest_;
  Table* root_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_NESTED_TABLES_H_
