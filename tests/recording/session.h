// One guest and one exit handler, and everything that they and the loop did, as
// text: a line for every call of an op. For comparing a run with its replay.

#ifndef WORLDSWITCH_TESTS_RECORDING_SESSION_H_
#define WORLDSWITCH_TESTS_RECORDING_SESSION_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/host/backend.h"

namespace worldswitch {

struct Session {
  std::string trace;
  // Why the loop ended: the last exit's reason, and what the VM explains.
  std::string ending;
};

// Makes a VM and runs `rounds` rounds of the guest in it: OUT, IN, 32-bit and
// string I/O, MMIO, HLT, interrupts and an NMI posted in its course, registers
// read and changed, and kicks from a thread of their own. other_data: the
// handler gives the guest other data in the second round.
absl::StatusOr<Session> RunSession(Backend& backend, int rounds,
                                   bool other_data = false);

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_RECORDING_SESSION_H_
