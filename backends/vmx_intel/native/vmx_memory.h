// The guest-physical memory of one VM: host pages, the EPT that maps them, and
// pages that the caller has taken in hand (core/features/processor_controls.h).
//
// One thread at a time, between runs; INVEPT is done here. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/native/nested_tables.h"
#include "backends/vmx_intel/vmx_capability.h"
#include "core/features/processor_controls.h"
#include "core/vm_ops.h"

namespace worldswitch {

// Whether the CPU's EPT has pages of that size.
bool HasEptPages(const VmxCapabilities& capabilities, NestedPageSize size);

class VmxMemory {
 public:
  // What a violation at some address asks for.
  enum class Fault : std::uint8_t {
    kServe,   // memory without its page: Serve puts it there
    kCaller,  // a page that the caller has made so
    kDevice,  // no memory
  };

  VmxMemory(const HostServices& host, const VmxCapabilities& capabilities,
            NestedPageSize largest, bool accessed_dirty);
  ~VmxMemory();
  VmxMemory(const VmxMemory&) = delete;
  VmxMemory& operator=(const VmxMemory&) = delete;

  // bytes: a multiple of 4096. False: the host has no such piece.
  bool Create(std::uint64_t bytes);

  MemoryView view() const;
  std::uint64_t eptp() const { return eptp_; }

  Fault FaultAt(std::uint64_t gpa) const;
  // kServe: maps the page. False: no page for a table, or the page was there.
  bool Serve(std::uint64_t gpa);

  Result Discard(std::uint64_t gpa, std::uint64_t length);
  Result MapAlias(std::uint64_t gpa, NestedPageSize size, std::uint64_t* alias);
  Result SetPage(std::uint64_t gpa, NestedPageState state);

  // INVEPT of this EPT.
  void Invalidate() const;

 private:
  struct Page {
    std::uint64_t gpa = 0;
    std::uint64_t bytes = 0;
    NestedPageState state = NestedPageState::kMapped;
  };
  // Where guest-physical addresses lead: memory, or one of the aliases.
  struct Region {
    std::uint64_t gpa = 0;
    std::uint64_t bytes = 0;  // 0: not there
    std::uint64_t host_physical = 0;

    bool Contains(std::uint64_t address) const {
      return address >= gpa && address - gpa < bytes;
    }
  };
  static constexpr std::size_t kAliases = 3;
  static constexpr std::size_t kPages = 32;

  const Region* RegionOf(std::uint64_t gpa) const;
  const Page* PageOf(std::uint64_t gpa) const;
  bool Apply(const Page& page);

  const HostServices& host_;
  const VmxCapabilities& capabilities_;
  NestedTables tables_;
  HostPages pages_;
  std::uint64_t bytes_ = 0;
  std::uint64_t eptp_ = 0;
  std::uint64_t invept_type_ = 0;
  Region regions_[1 + kAliases];  // the memory, then one alias for each size
  Page set_[kPages];              // states other than kMapped; bytes 0: free
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_
