// The guest-physical memory of one VM and the nested page tables that map it:
// its main memory, one alias of each page size, and which pages somebody asked
// for in another state (core/features/processor_controls.h).
//
// On the vCPUs' thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/native/nested_tables.h"
#include "core/features/processor_controls.h"
#include "core/vm_ops.h"

namespace worldswitch::svm {

class SvmMemory {
 public:
  // bytes: a multiple of 4096. largest: of the pages that map it; those that
  // the processor lacks are not used.
  SvmMemory(const HostServices& host, std::uint64_t bytes,
            NestedPageSize largest, bool has_1gib_pages);
  // False: the host had not enough pages.
  bool ok() const { return ok_; }

  MemoryView view() const;
  std::uint64_t nested_cr3() const { return tables_.root(); }

  // Takes the pages away; they read as zeros when they are mapped again.
  // False: no page for a table is left, or not pages of the memory.
  bool Discard(std::uint64_t gpa, std::uint64_t bytes);
  // Maps what Discard took. False: it was not that.
  bool Serve(std::uint64_t gpa);

  bool IsAlias(std::uint64_t gpa) const;
  Result MapAlias(std::uint64_t gpa, NestedPageSize size, std::uint64_t* alias);
  Result SetState(std::uint64_t gpa, NestedPageState state);

 private:
  struct Alias {
    std::uint64_t gpa = 0;  // of the page
    std::uint64_t host_physical = 0;
    bool is_mapped = false;
  };

  const Alias* AliasOf(std::uint64_t gpa, NestedPageSize* size) const;
  bool Change(std::uint64_t page, std::uint64_t host_physical,
              NestedPageSize size, NestedPageState state);
  bool IsAsked(std::uint64_t gpa) const;
  void SetAsked(std::uint64_t gpa, std::uint64_t bytes, bool asked);

  const std::uint64_t bytes_;
  const bool has_1gib_pages_;
  HostPages memory_;
  NestedTables tables_;
  HostPages asked_;  // a bit for each page of 4 KiB
  Alias aliases_[3];
  bool ok_ = false;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_
