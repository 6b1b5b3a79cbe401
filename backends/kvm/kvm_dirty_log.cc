#include "backends/kvm/kvm_dirty_log.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "backends/kvm/kvm_vm.h"
#include "core/features/memory_slots.h"

namespace worldswitch {

KvmDirtyLog::KvmDirtyLog(KvmVm& vm) : vm_(vm), rings_(vm.vcpu_count()) {}

KvmDirtyLog::~KvmDirtyLog() {
  for (const Ring& ring : rings_) {
    if (ring.entries != nullptr) munmap(ring.entries, RingBytes());
  }
}

Result KvmDirtyLog::get(std::uint32_t slot, std::uint64_t* bitmap,
                        std::size_t words) {
  // How much KVM writes is the slot's size, so that has to be known first.
  const std::uint64_t bytes = FeatureOf<MemorySlots>(vm_)->slot_bytes(slot);
  if (bytes == 0) return Fail(ENOENT);
  if (words != DirtyBitmapWords(bytes)) return Fail(EINVAL);
  kvm_dirty_log log = {};
  log.slot = slot;
  log.dirty_bitmap = bitmap;
  return ioctl(vm_.fd(), KVM_GET_DIRTY_LOG, &log) == 0 ? Result::kOk
                                                       : Fail(errno);
}

Result KvmDirtyLog::use_manual_protect(bool all_set) {
  const auto offered = static_cast<std::uint64_t>(
      vm_.CheckExtension(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
  std::uint64_t wanted = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
  if (all_set) wanted |= KVM_DIRTY_LOG_INITIALLY_SET;
  if ((offered & wanted) != wanted) return Result::kUnsupported;
  kvm_enable_cap request = {};
  request.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
  request.args[0] = wanted;
  return ioctl(vm_.fd(), KVM_ENABLE_CAP, &request) == 0 ? Result::kOk
                                                        : Fail(errno);
}

Result KvmDirtyLog::clear(std::uint32_t slot, std::uint64_t first_page,
                          std::uint32_t pages, const std::uint64_t* bitmap) {
  kvm_clear_dirty_log log = {};
  log.slot = slot;
  log.num_pages = pages;
  log.first_page = first_page;
  // KVM only reads it.
  log.dirty_bitmap = const_cast<std::uint64_t*>(bitmap);
  return ioctl(vm_.fd(), KVM_CLEAR_DIRTY_LOG, &log) == 0 ? Result::kOk
                                                         : Fail(errno);
}

std::uint32_t KvmDirtyLog::ring_entries() { return vm_.dirty_ring_entries(); }

std::size_t KvmDirtyLog::RingBytes() {
  return std::size_t{vm_.dirty_ring_entries()} * sizeof(kvm_dirty_gfn);
}

bool KvmDirtyLog::Map(std::uint32_t vcpu) {
  if (vcpu >= rings_.size() || ring_entries() == 0) return false;
  if (rings_[vcpu].entries != nullptr) return true;
  void* const mapped =
      mmap(nullptr, RingBytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
           vm_.kvm_vcpu(vcpu).fd(),
           off_t{KVM_DIRTY_LOG_PAGE_OFFSET} * sysconf(_SC_PAGESIZE));
  if (mapped == MAP_FAILED) {
    last_error_ = errno;
    return false;
  }
  rings_[vcpu].entries = static_cast<kvm_dirty_gfn*>(mapped);
  return true;
}

std::uint32_t KvmDirtyLog::harvest(std::uint32_t vcpu, DirtyPage* pages,
                                   std::uint32_t count) {
  if (!Map(vcpu)) return 0;
  Ring& ring = rings_[vcpu];
  std::uint32_t taken = 0;
  while (taken < count) {
    kvm_dirty_gfn& entry = ring.entries[ring.next & (ring_entries() - 1)];
    // The flags go to and fro between KVM and us; the rest follows them
    // (KVM's API documentation, 8.29).
    const std::atomic_ref<__u32> flags(entry.flags);
    if ((flags.load(std::memory_order_acquire) & KVM_DIRTY_GFN_F_MASK) !=
        KVM_DIRTY_GFN_F_DIRTY) {
      break;
    }
    pages[taken++] = {.slot = entry.slot, .page = entry.offset};
    flags.store(KVM_DIRTY_GFN_F_RESET, std::memory_order_release);
    ++ring.next;
  }
  return taken;
}

Result KvmDirtyLog::reset_rings(std::uint32_t* pages) {
  if (ring_entries() == 0) return Result::kUnsupported;
  const int reset = ioctl(vm_.fd(), KVM_RESET_DIRTY_RINGS, 0);
  if (reset < 0) return Fail(errno);
  if (pages != nullptr) *pages = static_cast<std::uint32_t>(reset);
  return Result::kOk;
}

}  // namespace worldswitch
