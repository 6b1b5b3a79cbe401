// The guest-physical memory of one VM: pages of the host in one piece, the
// nested page tables that map them, one alias of each page size, and the pages
// that somebody asked for in another state
// (core/features/processor_controls.h). Which those are the tables say: nothing
// else makes a page that allows less than everything.
//
// Whoever changes a page flushes, as in nested_tables.h. One thread at a time.
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_NESTED_MEMORY_H_
#define WORLDSWITCH_BACKENDS_NATIVE_NESTED_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/native/nested_tables.h"
#include "core/features/processor_controls.h"
#include "core/vm_ops.h"

namespace worldswitch {

class NestedMemory {
 public:
  // wanted: the largest pages to map the memory by, where the processor has
  // them. supported: the largest that it has. The host outlives this.
  NestedMemory(const HostServices& host, NestedFormat format,
               NestedPageSize wanted, NestedPageSize supported);

  // bytes: a multiple of 4096. False: the host has no such piece, or no page
  // for a table.
  bool Create(std::uint64_t bytes);

  // After Create:
  MemoryView view() const {
    return {
        .host = pages_.as<std::byte>(), .gpa = 0, .size = regions_[0].bytes};
  }
  std::uint64_t root() const { return tables_.root(); }

  // Memory or an alias of it, in whatever state.
  bool Contains(std::uint64_t gpa) const { return RegionOf(gpa) != nullptr; }

  // Takes the pages away; they read as zeros when they are mapped again, and
  // are in no asked-for state. False: no page for a table is left, or not pages
  // of the memory.
  bool Discard(std::uint64_t gpa, std::uint64_t bytes);
  // Maps the page that Discard took; nothing that a CPU caches changes. True:
  // it is there. False: somebody asked for the page in its state, or it is not
  // of the VM, or no page for a table is left.
  bool Serve(std::uint64_t gpa);

  // As ProcessorControls::map_alias and set_nested_page.
  Result MapAlias(std::uint64_t gpa, NestedPageSize size, std::uint64_t* alias);
  Result SetState(std::uint64_t gpa, NestedPageState state);

 private:
  // Where guest-physical addresses lead: the memory, or one of the aliases.
  struct Region {
    std::uint64_t gpa = 0;
    std::uint64_t bytes = 0;  // 0: not there
    std::uint64_t host_physical = 0;
    NestedPageSize page_size = NestedPageSize::k4KiB;  // of an alias

    bool Contains(std::uint64_t address) const {
      return address >= gpa && address - gpa < bytes;
    }
  };
  static constexpr std::size_t kPageSizes = 3;

  const Region* RegionOf(std::uint64_t gpa) const;
  bool MapPage(const Region& region, std::uint64_t gpa, NestedPageSize size,
               NestedAccess access);
  Result SetHole(std::uint64_t gpa, NestedPageState state);

  const HostServices& host_;
  const NestedPageSize supported_;
  const NestedPageSize largest_;
  NestedTables tables_;
  HostPages pages_;
  Region regions_[1 + kPageSizes];  // the memory, then an alias of each size
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_NESTED_MEMORY_H_
