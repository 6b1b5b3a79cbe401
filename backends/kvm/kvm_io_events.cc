#include "backends/kvm/kvm_io_events.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kPageBytes = 4096;
constexpr std::uint32_t kRingEntries =
    (kPageBytes - sizeof(kvm_coalesced_mmio_ring)) / sizeof(kvm_coalesced_mmio);

std::uint64_t RingPage(const KvmVm& vm) {
  const int page = vm.system().Capability(KVM_CAP_COALESCED_MMIO);
  const bool mapped =
      page > 0 && (static_cast<std::uint64_t>(page) + 1) * kPageBytes <=
                      vm.system().page_bytes();
  return mapped ? static_cast<std::uint64_t>(page) : 0;
}

}  // namespace

KvmIoEvents::KvmIoEvents(KvmVm& vm)
    : vm_(vm),
      ring_page_(RingPage(vm)),
      coalesces_ports_(vm.system().Capability(KVM_CAP_COALESCED_PIO) > 0),
      // One place stays empty, so that full and empty differ.
      capacity_(ring_page_ == 0 ? 0 : kRingEntries - 1) {}

Result KvmIoEvents::Request(const IoEvent& event, int fd,
                            std::uint32_t more_flags) {
  kvm_ioeventfd request = {};
  request.datamatch = event.value;
  request.addr = event.address;
  request.len = event.length;
  request.fd = fd;
  request.flags =
      more_flags |
      (event.space == IoSpace::kPort ? 1u << kvm_ioeventfd_flag_nr_pio : 0) |
      (event.match ? 1u << kvm_ioeventfd_flag_nr_datamatch : 0);
  return ioctl(vm_.fd(), KVM_IOEVENTFD, &request) == 0 ? Result::kOk
                                                       : Fail(errno);
}

Result KvmIoEvents::add_event(const IoEvent& event, IoEventToken* token) {
  if (vm_.system().Capability(KVM_CAP_IOEVENTFD) <= 0) {
    return Result::kUnsupported;
  }
  if (event.length == 0 &&
      vm_.system().Capability(event.space == IoSpace::kPort
                                  ? KVM_CAP_IOEVENTFD_ANY_LENGTH
                                  : KVM_CAP_IOEVENTFD_NO_LENGTH) <= 0) {
    return Result::kUnsupported;
  }
  // The kernel takes a comparison without a length for one that never fails.
  if (event.length == 0 && event.match) return Fail(EINVAL);
  Event added = {.what = event,
                 .fd = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
                 .signalled = 0};
  if (!added.fd.valid()) return Fail(errno);
  const Result result = Request(event, added.fd.get(), 0);
  if (result != Result::kOk) return result;
  *token = static_cast<IoEventToken>(events_.size());
  events_.push_back(std::move(added));
  return Result::kOk;
}

Result KvmIoEvents::remove_event(IoEventToken token) {
  if (token >= events_.size() || !events_[token].fd.valid()) {
    return Fail(EINVAL);
  }
  Event& event = events_[token];
  const Result result =
      Request(event.what, event.fd.get(), 1u << kvm_ioeventfd_flag_nr_deassign);
  if (result != Result::kOk) return result;
  signals(token);  // what was counted stays readable
  event.fd = FileDescriptor();
  return Result::kOk;
}

std::uint64_t KvmIoEvents::signals(IoEventToken token) {
  if (token >= events_.size()) return 0;
  Event& event = events_[token];
  std::uint64_t more = 0;
  if (event.fd.valid() &&
      read(event.fd.get(), &more, sizeof(more)) == sizeof(more)) {
    event.signalled += more;
  }
  return event.signalled;
}

Result KvmIoEvents::Coalesce(unsigned long request, IoSpace space,
                             std::uint64_t address, std::uint32_t length) {
  if (ring_page_ == 0 || (space == IoSpace::kPort && !coalesces_ports_)) {
    return Result::kUnsupported;
  }
  if (length == 0) return Fail(EINVAL);
  kvm_coalesced_mmio_zone zone = {};
  zone.addr = address;
  zone.size = length;
  zone.pio = space == IoSpace::kPort ? 1 : 0;
  return ioctl(vm_.fd(), request, &zone) == 0 ? Result::kOk : Fail(errno);
}

Result KvmIoEvents::add_coalesced(IoSpace space, std::uint64_t address,
                                  std::uint32_t length) {
  return Coalesce(KVM_REGISTER_COALESCED_MMIO, space, address, length);
}

Result KvmIoEvents::remove_coalesced(IoSpace space, std::uint64_t address,
                                     std::uint32_t length) {
  return Coalesce(KVM_UNREGISTER_COALESCED_MMIO, space, address, length);
}

bool KvmIoEvents::next_coalesced(CoalescedWrite* write) {
  if (ring_page_ == 0 || vm_.vcpu_count() == 0) return false;
  std::byte* const page =
      reinterpret_cast<std::byte*>(&vm_.kvm_vcpu(0).page()) +
      ring_page_ * kPageBytes;
  auto* const ring = reinterpret_cast<kvm_coalesced_mmio_ring*>(page);
  // The kernel moves `last` on after it has written an entry, we move `first`
  // on after we have read one.
  std::atomic_ref<__u32> first(ring->first);
  std::atomic_ref<__u32> last(ring->last);
  const std::uint32_t at = first.load(std::memory_order_relaxed);
  if (at == last.load(std::memory_order_acquire) || at >= kRingEntries) {
    return false;
  }
  kvm_coalesced_mmio entry;
  std::memcpy(&entry, page + sizeof(*ring) + at * sizeof(entry), sizeof(entry));
  first.store((at + 1) % kRingEntries, std::memory_order_release);
  *write = {.space = entry.pio != 0 ? IoSpace::kPort : IoSpace::kMemory,
            .address = entry.phys_addr,
            .length = entry.len,
            .value = 0};
  if (entry.len <= sizeof(entry.data)) {
    std::memcpy(&write->value, entry.data, entry.len);
  }
  ++drained_;
  return true;
}

std::uint64_t KvmIoEvents::drain_coalesced() {
  CoalescedWrite ignored;
  while (next_coalesced(&ignored)) {
  }
  return drained_;
}

}  // namespace worldswitch
