// The guest-physical memory of one VM, in NPT's format. TLB_CONTROL flushes, so
// whoever changes a page tells the vCPUs (SvmVm).
//
// On the vCPUs' thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_

#include <cstdint>

#include "backends/native/nested_memory.h"

namespace worldswitch::svm {

class SvmMemory final : public NestedMemory {
 public:
  // bytes: a multiple of 4096. largest: of the pages that map it; those that
  // the processor lacks are not used.
  SvmMemory(const HostServices& host, std::uint64_t bytes,
            NestedPageSize largest, bool has_1gib_pages)
      : NestedMemory(
            host, NestedFormat::kNpt, largest,
            has_1gib_pages ? NestedPageSize::k1GiB : NestedPageSize::k2MiB),
        ok_(Create(bytes)) {}
  // False: the host had not enough pages.
  bool ok() const { return ok_; }

  std::uint64_t nested_cr3() const { return root(); }

 private:
  const bool ok_;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MEMORY_H_
