// core/features/msr_exits.h over KVM_CAP_X86_USER_SPACE_MSR and
// KVM_X86_SET_MSR_FILTER.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_MSR_EXITS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_MSR_EXITS_H_

#include <cstdint>

#include "core/features/msr_exits.h"

namespace worldswitch {

class KvmVm;

class KvmMsrExits final : public MsrExits {
 public:
  explicit KvmMsrExits(KvmVm& vm) : vm_(vm) {}

  Result exit_on(MsrExitCauses causes) override;
  Result set_filter(MsrFilterDefault otherwise, const MsrFilterRange* ranges,
                    std::uint32_t count) override;
  int last_error() const override { return last_error_; }

 private:
  Result Fail(int error_number) {
    last_error_ = error_number;
    return Result::kError;
  }

  KvmVm& vm_;
  int last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_MSR_EXITS_H_
