#include "core/host/child_answer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostBytes = 1 << 20;
constexpr int kPollMilliseconds = 10;
constexpr int kExitThrew = 113;  // of the child: `ask` threw

// The child's whole life.
[[noreturn]] void Answer(const std::function<std::string()>& ask, int pipe) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const int nothing = open("/dev/null", O_RDWR);
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    dup2(nothing, descriptor);
  }
  // What we catch to end in order, the child has no use for.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGBUS, SIGABRT,
                           SIGILL, SIGFPE, SIGALRM}) {
    ::signal(signal, SIG_DFL);
  }
  std::string text;
  try {
    text = ask();
  } catch (...) {
    _exit(kExitThrew);
  }
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(pipe, text.data() + done, text.size() - done);
    if (wrote < 0 && errno != EINTR) break;
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  _exit(0);
}

// Takes what is in the pipe. False: there is too much.
bool Drain(int pipe, std::string* text) {
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(pipe, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    text->append(buffer, static_cast<std::size_t>(got));
    if (text->size() > kMostBytes) return false;
  }
}

// True: the child has ended, and is still there to be waited for.
bool HasEnded(pid_t child) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(child), &info,
                WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == child;
}

absl::Status HowItEnded(int status) {
  if (WIFSIGNALED(status)) {
    const char* const name = sigabbrev_np(WTERMSIG(status));
    return absl::AbortedError(absl::StrCat("it was ended by SIG",
                                           name != nullptr ? name : "?", " (",
                                           strsignal(WTERMSIG(status)), ")"));
  }
  if (WEXITSTATUS(status) == kExitThrew) {
    return absl::AbortedError("it threw an exception");
  }
  if (WEXITSTATUS(status) != 0) {
    return absl::AbortedError(absl::StrCat(
        "it exited with code ", WEXITSTATUS(status), " and without an answer"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> AnswerOfChild(
    const std::function<std::string()>& ask, std::chrono::milliseconds limit) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "making a pipe to a child process",
                       "raise 'ulimit -n'");
  }
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(pipes[0]);
    close(pipes[1]);
    return ErrnoStatus(error, "starting a child process",
                       "raise 'ulimit -u' or free memory");
  }
  if (child == 0) {
    close(pipes[0]);
    Answer(ask, pipes[1]);
  }
  setpgid(child, child);  // whichever of the two comes first
  close(pipes[1]);
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);

  const Clock::time_point until = Clock::now() + limit;
  std::string text;
  bool is_late = false;
  bool is_too_much = false;
  while (!HasEnded(child)) {
    is_late = Clock::now() >= until;
    is_too_much = !Drain(pipes[0], &text);
    if (is_late || is_too_much) break;
    pollfd readable = {.fd = pipes[0], .events = POLLIN, .revents = 0};
    poll(&readable, 1, kPollMilliseconds);
    // It closed its end and lives on.
    if ((readable.revents & (POLLIN | POLLHUP)) == POLLHUP) {
      poll(nullptr, 0, kPollMilliseconds);
    }
  }
  // With all that it may have started; it is not waited for yet, so that its
  // group's number is still its own.
  kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  is_too_much = !Drain(pipes[0], &text) || is_too_much;
  close(pipes[0]);
  if (is_late) {
    return absl::AbortedError(absl::StrCat(
        "it did not answer within ", limit.count(), " ms, and was ended"));
  }
  if (is_too_much) {
    return absl::AbortedError("its answer has no end");
  }
  if (absl::Status ended = HowItEnded(status); !ended.ok()) return ended;
  if (text.empty()) {
    return absl::AbortedError("it exited with code 0 and without an answer");
  }
  return text;
}

}  // namespace worldswitch
