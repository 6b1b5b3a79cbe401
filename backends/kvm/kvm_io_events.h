// core/features/io_events.h over KVM_IOEVENTFD and the coalesced-MMIO ring.
//
// Owns the eventfds. The ring lies in the first vCPU's shared mapping.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_IO_EVENTS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_IO_EVENTS_H_

#include <cstdint>
#include <vector>

#include "backends/kvm/file_descriptor.h"
#include "core/features/io_events.h"

namespace worldswitch {

class KvmVm;

class KvmIoEvents final : public IoEvents {
 public:
  explicit KvmIoEvents(KvmVm& vm);

  Result add_event(const IoEvent& event, IoEventToken* token) override;
  Result remove_event(IoEventToken token) override;
  std::uint64_t signals(IoEventToken token) override;
  Result add_coalesced(IoSpace space, std::uint64_t address,
                       std::uint32_t length) override;
  Result remove_coalesced(IoSpace space, std::uint64_t address,
                          std::uint32_t length) override;
  bool next_coalesced(CoalescedWrite* write) override;
  std::uint64_t drain_coalesced() override;
  std::uint32_t coalesced_capacity() const override { return capacity_; }
  int last_error() const override { return last_error_; }

 private:
  struct Event {
    IoEvent what;
    FileDescriptor fd;  // none: removed
    std::uint64_t signalled;
  };

  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }
  Result Request(const IoEvent& event, int fd, std::uint32_t more_flags);
  Result Coalesce(unsigned long request, IoSpace space, std::uint64_t address,
                  std::uint32_t length);

  KvmVm& vm_;
  const std::uint64_t ring_page_;  // of the vCPU's mapping; 0: no ring
  const bool coalesces_ports_;
  const std::uint32_t capacity_;
  std::vector<Event> events_;  // by token
  std::uint64_t drained_ = 0;
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_IO_EVENTS_H_
