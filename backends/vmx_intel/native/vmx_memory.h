// The guest-physical memory of one VM, in EPT's format, with the EPT pointer
// that leads there. INVEPT is done here.
//
// One thread at a time, between runs. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_

#include <cstdint>

#include "backends/native/nested_memory.h"
#include "backends/vmx_intel/vmx_capability.h"

namespace worldswitch {

class VmxMemory {
 public:
  // largest: of the pages that map it; those that the CPU lacks are not used.
  // accessed_dirty: EPT's flags, where the CPU has them.
  VmxMemory(const HostServices& host, const VmxCapabilities& capabilities,
            NestedPageSize largest, bool accessed_dirty);
  ~VmxMemory();
  VmxMemory(const VmxMemory&) = delete;
  VmxMemory& operator=(const VmxMemory&) = delete;

  // bytes: a multiple of 4096. False: the host has no such piece.
  bool Create(std::uint64_t bytes);

  MemoryView view() const { return memory_.view(); }
  std::uint64_t eptp() const { return eptp_; }

  bool Contains(std::uint64_t gpa) const { return memory_.Contains(gpa); }
  // False: the page is as the caller asked for it. Nothing to invalidate: what
  // is not present is not cached, and the violation itself has invalidated what
  // led there.
  bool Serve(std::uint64_t gpa) { return memory_.Serve(gpa); }

  Result Discard(std::uint64_t gpa, std::uint64_t length);
  Result MapAlias(std::uint64_t gpa, NestedPageSize size, std::uint64_t* alias);
  Result SetPage(std::uint64_t gpa, NestedPageState state);

 private:
  // INVEPT of this EPT.
  void Invalidate() const;

  NestedMemory memory_;
  const std::uint64_t eptp_bits_;  // all but the address
  const std::uint64_t invept_type_;
  std::uint64_t eptp_ = 0;  // 0: not created
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_MEMORY_H_
