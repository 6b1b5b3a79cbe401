// core/features/guest_debug.h over KVM_SET_GUEST_DEBUG.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_DEBUG_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_DEBUG_H_

#include <cstddef>
#include <cstdint>
#include <map>

#include "core/features/guest_debug.h"

namespace worldswitch {

class KvmVm;

class KvmGuestDebug final : public GuestDebug {
 public:
  explicit KvmGuestDebug(KvmVm& vm);

  Result set(std::uint32_t vcpu, const DebugRequest& request) override;
  Result insert_breakpoint(std::uint64_t gpa) override;
  Result remove_breakpoint(std::uint64_t gpa) override;
  int last_error() const override { return last_error_; }

 private:
  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }

  KvmVm& vm_;
  // KVM_GUESTDBG_* that KVM takes.
  const std::uint32_t offered_;
  std::map<std::uint64_t, std::byte> replaced_;  // by gpa
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_GUEST_DEBUG_H_
