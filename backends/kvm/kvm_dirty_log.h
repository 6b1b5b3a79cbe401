// Dirty logging of KVM: KVM_GET_DIRTY_LOG, manual protect, and the ring that
// each vCPU shares behind its page (mapped when it is first harvested).
//
// KVM_CAP_DIRTY_LOG_RING has to come before the vCPUs; KvmVm does it.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_DIRTY_LOG_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_DIRTY_LOG_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/kvm/kvm_header.h"
#include "core/features/dirty_log.h"

namespace worldswitch {

class KvmVm;

class KvmDirtyLog final : public DirtyLog {
 public:
  explicit KvmDirtyLog(KvmVm& vm);
  ~KvmDirtyLog();
  KvmDirtyLog(const KvmDirtyLog&) = delete;
  KvmDirtyLog& operator=(const KvmDirtyLog&) = delete;

  Result get(std::uint32_t slot, std::uint64_t* bitmap,
             std::size_t words) override;
  Result use_manual_protect(bool all_set) override;
  Result clear(std::uint32_t slot, std::uint64_t first_page,
               std::uint32_t pages, const std::uint64_t* bitmap) override;
  std::uint32_t ring_entries() override;
  std::uint32_t harvest(std::uint32_t vcpu, DirtyPage* pages,
                        std::uint32_t count) override;
  Result reset_rings(std::uint32_t* pages) override;
  int last_error() const override { return last_error_; }

 private:
  struct Ring {
    kvm_dirty_gfn* entries = nullptr;
    std::uint32_t next = 0;  // the oldest that was not harvested
  };

  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }
  std::size_t RingBytes();
  bool Map(std::uint32_t vcpu);

  KvmVm& vm_;
  std::vector<Ring> rings_;  // one per vCPU
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_DIRTY_LOG_H_
