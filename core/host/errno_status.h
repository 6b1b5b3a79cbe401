// Turns a failed system call into a status a person can act on.

#ifndef WORLDSWITCH_CORE_HOST_ERRNO_STATUS_H_
#define WORLDSWITCH_CORE_HOST_ERRNO_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

// "EACCES (Permission denied)"; the number where the name is not known.
std::string ErrnoName(int error_number);

// attempted: "KVM_CREATE_VM on /dev/kvm". remedy: what the user can do, or "".
// The code follows the errno (EACCES: PermissionDenied, ENOENT: NotFound, ...).
absl::Status ErrnoStatus(int error_number, absl::string_view attempted,
                         absl::string_view remedy = "");

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_ERRNO_STATUS_H_
