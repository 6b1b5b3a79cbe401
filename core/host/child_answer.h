// Asks a question in a child process, so that whatever the answer takes down
// with it is not us.

#ifndef WORLDSWITCH_CORE_HOST_CHILD_ANSWER_H_
#define WORLDSWITCH_CORE_HOST_CHILD_ANSWER_H_

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace worldswitch {

// What `ask` returns, called in a child that has no input and whose output goes
// nowhere; the child and all that it started are gone when this returns. At
// most 1 MiB. Errors, each with what happened: a signal ended the child, it
// exited without an answer, took longer than `limit` (host time) and was ended,
// answered too much (Aborted); or it could not be started (by its errno).
//
// Forks: for programs that have no other threads yet.
absl::StatusOr<std::string> AnswerOfChild(
    const std::function<std::string()>& ask, std::chrono::milliseconds limit);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_CHILD_ANSWER_H_
