// Memory slots of KVM: KVM_SET_USER_MEMORY_REGION, and a note of which there
// are, since changing a slot's flags means telling KVM all about it again. It
// does not know those made by KvmVm::SetMemorySlot.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_MEMORY_SLOTS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_MEMORY_SLOTS_H_

#include <cstdint>
#include <unordered_map>

#include "core/features/memory_slots.h"

namespace worldswitch {

class KvmVm;

class KvmMemorySlots final : public MemorySlots {
 public:
  explicit KvmMemorySlots(KvmVm& vm);

  std::uint32_t slot_limit() override;
  std::uint64_t slot_bytes(std::uint32_t slot) override;
  bool offers(SlotFlags flags) override;
  Result add(const MemorySlot& slot) override;
  Result set_flags(std::uint32_t slot, SlotFlags flags) override;
  Result remove(std::uint32_t slot) override;
  int last_error() const override { return last_error_; }

 private:
  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }
  Result Tell(const MemorySlot& slot);

  KvmVm& vm_;
  std::unordered_map<std::uint32_t, MemorySlot> slots_;  // slot 0 included
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_MEMORY_SLOTS_H_
