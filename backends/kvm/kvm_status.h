// Errors of /dev/kvm as a person can act on them.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_STATUS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

// What to do about `error_number` from an ioctl of KVM; "" where there is no
// better advice than the name of the error.
absl::string_view KvmRemedy(int error_number);

// ErrnoStatus with that remedy. attempted: "KVM_CREATE_VM on /dev/kvm".
absl::Status KvmStatus(int error_number, absl::string_view attempted);

// The same for opening the device itself, where the causes are others: no
// module, no node, no permission.
absl::Status KvmOpenStatus(int error_number, absl::string_view device);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_STATUS_H_
