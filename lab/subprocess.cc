#include "lab/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/host/errno_status.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kNotStarted = 127;

// In the child, until exec. Reports an errno through `report`.
[[noreturn]] void Become(const std::vector<char*>& words,
                         const Subprocess::Options& options, pid_t parent,
                         int report) {
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNotStarted);
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(options.output.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (in >= 0 && out >= 0 && dup2(in, STDIN_FILENO) >= 0 &&
      dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
      (options.directory.empty() || chdir(options.directory.c_str()) == 0)) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const std::string& variable : options.environment) {
      putenv(const_cast<char*>(variable.c_str()));
    }
    execvp(words[0], words.data());
  }
  const int error = errno;
  if (write(report, &error, sizeof(error)) < 0) _exit(kNotStarted);
  _exit(kNotStarted);
}

}  // namespace

absl::StatusOr<Subprocess> Subprocess::Start(const Options& options) {
  std::vector<char*> words;
  words.reserve(options.arguments.size() + 1);
  for (const std::string& argument : options.arguments) {
    words.push_back(const_cast<char*>(argument.c_str()));
  }
  words.push_back(nullptr);
  const std::string what = absl::StrCat("starting ", options.arguments[0]);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return ErrnoStatus(errno, what);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) Become(words, options, parent, report[1]);
  const int fork_error = errno;
  close(report[1]);
  int error = 0;
  ssize_t count = 0;
  do {
    count = read(report[0], &error, sizeof(error));
  } while (count < 0 && errno == EINTR);
  close(report[0]);
  if (child < 0) return ErrnoStatus(fork_error, what);
  Subprocess started(child,
                     static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (count > 0) return ErrnoStatus(error, what);
  return started;
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      exit_code_(other.exit_code_) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

Subprocess::~Subprocess() {
  Kill();
  if (pidfd_ >= 0) close(pidfd_);
}

std::optional<int> Subprocess::Wait(std::chrono::milliseconds at_most) {
  if (exit_code_.has_value() || pid_ < 0) return exit_code_;
  // Without a pidfd (kernels before 5.3) this only sleeps, and asks then.
  pollfd ended = {pidfd_, POLLIN, 0};
  poll(&ended, 1, static_cast<int>(at_most.count()));
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

void Subprocess::Kill() {
  if (exit_code_.has_value() || pid_ < 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = 128 + SIGKILL;
}

absl::StatusOr<std::string> RunTool(const std::vector<std::string>& arguments,
                                    const std::string& directory,
                                    std::chrono::seconds limit,
                                    const StopFlag& stop) {
  constexpr std::chrono::milliseconds kLook(20);
  constexpr int kLines = 10;
  absl::StatusOr<TemporaryDirectory> scratch = TemporaryDirectory::Make();
  if (!scratch.ok()) return scratch.status();
  Subprocess::Options options;
  options.arguments = arguments;
  // Answers are read by us; apt and dpkg translate theirs.
  options.environment = {"LC_ALL=C"};
  options.directory = directory;
  options.output = scratch->File("output");
  absl::StatusOr<Subprocess> tool = Subprocess::Start(options);
  if (!tool.ok()) return tool.status();
  const Clock::time_point end = Clock::now() + limit;
  std::optional<int> code;
  while (!code.has_value()) {
    if (stop.load() != 0) {
      return absl::CancelledError(absl::StrCat(arguments[0], ": interrupted"));
    }
    if (Clock::now() > end) {
      return absl::DeadlineExceededError(absl::StrCat(
          arguments[0], " did not end within ", limit.count(), " s"));
    }
    code = tool->Wait(kLook);
  }
  absl::StatusOr<std::string> text = ReadWholeFile(options.output);
  if (!text.ok() || *code == 0) return text;
  return absl::UnavailableError(absl::StrCat(arguments[0],
                                             " failed with exit code ", *code,
                                             ":\n", LastLines(*text, kLines)));
}

std::string LastLines(const std::string& text, int count) {
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '\x1b') {
      // ECMA-48: ESC [ ... up to a letter; ESC and one character otherwise.
      ++i;
      if (i < text.size() && text[i] == '[') {
        while (++i < text.size() && !absl::ascii_isalpha(text[i])) {
        }
      }
    } else if (letter == '\n' || absl::ascii_isprint(letter)) {
      clean.push_back(letter);
    }
  }
  std::vector<std::string> lines =
      absl::StrSplit(clean, '\n', absl::SkipWhitespace());
  const auto wanted = static_cast<std::size_t>(count);
  const std::size_t first = lines.size() > wanted ? lines.size() - wanted : 0;
  std::string last;
  for (std::size_t i = first; i < lines.size(); ++i) {
    absl::StrAppend(&last, i == first ? "" : "\n", "  ", lines[i]);
  }
  return last;
}

}  // namespace worldswitch
