#include "backends/kvm/kvm_memory_slots.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {

static_assert(kLogDirtyPages == KVM_MEM_LOG_DIRTY_PAGES);
static_assert(kReadOnlySlot == KVM_MEM_READONLY);

KvmMemorySlots::KvmMemorySlots(KvmVm& vm) : vm_(vm) {
  const MemoryView main = vm.memory();
  slots_[0] = {.slot = 0,
               .gpa = main.gpa,
               .bytes = main.size,
               .host = main.host,
               .flags = kPlainSlot};
}

std::uint32_t KvmMemorySlots::slot_limit() {
  return static_cast<std::uint32_t>(vm_.CheckExtension(KVM_CAP_NR_MEMSLOTS));
}

std::uint64_t KvmMemorySlots::slot_bytes(std::uint32_t slot) {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? 0 : found->second.bytes;
}

bool KvmMemorySlots::offers(SlotFlags flags) {
  if ((flags & ~(kLogDirtyPages | kReadOnlySlot)) != 0) return false;
  return (flags & kReadOnlySlot) == 0 ||
         vm_.CheckExtension(KVM_CAP_READONLY_MEM) > 0;
}

Result KvmMemorySlots::Tell(const MemorySlot& slot) {
  kvm_userspace_memory_region region = {};
  region.slot = slot.slot;
  region.flags = slot.flags;
  region.guest_phys_addr = slot.gpa;
  region.memory_size = slot.bytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(slot.host);
  return ioctl(vm_.fd(), KVM_SET_USER_MEMORY_REGION, &region) == 0
             ? Result::kOk
             : Fail(errno);
}

Result KvmMemorySlots::add(const MemorySlot& slot) {
  if (!offers(slot.flags)) return Result::kUnsupported;
  if (slots_.contains(slot.slot)) return Fail(EEXIST);
  if (slot.bytes == 0 || slot.slot >= slot_limit()) return Fail(EINVAL);
  const Result result = Tell(slot);
  if (result == Result::kOk) slots_[slot.slot] = slot;
  return result;
}

Result KvmMemorySlots::set_flags(std::uint32_t slot, SlotFlags flags) {
  if (!offers(flags)) return Result::kUnsupported;
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return Fail(ENOENT);
  MemorySlot changed = found->second;
  changed.flags = flags;
  const Result result = Tell(changed);
  if (result == Result::kOk) found->second = changed;
  return result;
}

Result KvmMemorySlots::remove(std::uint32_t slot) {
  if (slot == 0) return Fail(EINVAL);
  const auto found = slots_.find(slot);
  if (found == slots_.end()) return Fail(ENOENT);
  const Result result = Tell({.slot = slot});
  if (result == Result::kOk) slots_.erase(found);
  return result;
}

}  // namespace worldswitch
