// How the verbs say on standard error that they cannot go on.

#ifndef WORLDSWITCH_CLI_FAILURE_H_
#define WORLDSWITCH_CLI_FAILURE_H_

#include "absl/status/status.h"

namespace worldswitch {

// "worldswitch: " and the status's message. Returns `code`.
int Fail(const absl::Status& status, int code);

// The same of a lab, where Cancelled is the signal that ended it: returns what
// a shell would for it.
int FailInLab(const absl::Status& status, int code);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_FAILURE_H_
