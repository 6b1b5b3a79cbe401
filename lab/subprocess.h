// Other programs: started in a session of their own, so that no key of this
// terminal reaches them and they cannot change it; ended by their id, and with
// us whatever happens to us.

#ifndef WORLDSWITCH_LAB_SUBPROCESS_H_
#define WORLDSWITCH_LAB_SUBPROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace worldswitch {

// Set (to the signal's number) when the user wants everything to end.
using StopFlag = std::atomic<int>;

// One running program. Not thread-safe; the thread that starts it must live as
// long as it.
class Subprocess {
 public:
  struct Options {
    std::vector<std::string> arguments;    // [0] is looked for in PATH
    std::vector<std::string> environment;  // "NAME=value", beside our own
    std::string directory;                 // "": ours
    std::string output;                    // a file for both its outputs
  };
  // NotFound: there is no such program.
  static absl::StatusOr<Subprocess> Start(const Options& options);

  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&& other) noexcept;
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  // Kills it if it still runs.
  ~Subprocess();

  // Waits at most this long. Its exit code, 128 + n where signal n ended it;
  // empty: it runs.
  std::optional<int> Wait(std::chrono::milliseconds at_most);
  // SIGKILL, and waits for the end.
  void Kill();

 private:
  Subprocess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<int> exit_code_;
};

// Runs a tool to its end and gives what it prints (both outputs). Errors: not
// found; it failed (with its code and what it printed last); `limit` is over;
// Cancelled: *stop was set.
absl::StatusOr<std::string> RunTool(const std::vector<std::string>& arguments,
                                    const std::string& directory,
                                    std::chrono::seconds limit,
                                    const StopFlag& stop);

// The last `count` lines, each indented by two blanks; control characters and
// escape sequences are left out.
std::string LastLines(const std::string& text, int count);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_SUBPROCESS_H_
