// State of a VM of KVM, by the ioctls that read and write each part of it; the
// whole of it as a row of records (kvm_saved_state.cc).
//
// An MSR that the engine lists but does not let be read is left out; one that
// it refuses to set is right if it holds the value already.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_STATE_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_STATE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/features/vcpu_state.h"

namespace worldswitch {

class KvmVm;

class KvmState final : public VcpuStateAccess {
 public:
  explicit KvmState(KvmVm& vm);

  std::size_t part_size(std::uint32_t vcpu, StatePart part) override;
  Result get_part(std::uint32_t vcpu, StatePart part, void* to,
                  std::size_t size) override;
  Result set_part(std::uint32_t vcpu, StatePart part, const void* from,
                  std::size_t size) override;
  std::size_t saved_size() override;
  Result save(void* to, std::size_t size) override;
  Result restore(const void* from, std::size_t size) override;
  int last_error() const override { return last_error_; }

 private:
  struct Record;

  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }
  Result Call(int fd, unsigned long request, void* argument);

  // What the engine lists and vCPU 0 can read. Asked once.
  const std::vector<std::uint32_t>& ReadableMsrs();
  Result GetMsrs(std::uint32_t vcpu, void* to, std::size_t size);
  Result SetMsrs(std::uint32_t vcpu, const void* from, std::size_t size);
  bool HasLapic();
  // KVM_SET_FPU stores values and leaves XSTATE_BV alone, so that where the
  // guest has not used the FPU yet it goes on to find initial values. Sets the
  // same through the XSAVE image. from: a kvm_fpu.
  Result ShowFpu(std::uint32_t vcpu, const void* from);

  // The records of a saved state, kvm_saved_state.cc.
  std::vector<Record> Records();
  Result ReadRecord(const Record& record, std::byte* to);
  Result WriteRecord(const Record& record, const std::byte* from);
  bool HasIrqchips();
  bool HasPit();

  KvmVm& vm_;
  std::vector<std::uint32_t> msrs_;
  bool msrs_known_ = false;
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_STATE_H_
