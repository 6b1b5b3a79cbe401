// The command's exit codes. A run that a signal ended exits with 128 + its
// number, as a shell would say it.

#ifndef WORLDSWITCH_CLI_EXIT_CODE_H_
#define WORLDSWITCH_CLI_EXIT_CODE_H_

namespace worldswitch {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,  // a check failed, or a result could not be written
  kExitUsage = 2,
  kExitNoBackend = 3,
  kExitSignalBase = 128,
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_EXIT_CODE_H_
