#include "core/host/host_settings.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

// 0, or an errno. Safe after fork and in a signal handler.
int WriteFile(const char* file, const char* value, std::size_t size) {
  const int fd = open(file, O_WRONLY | O_CLOEXEC | O_TRUNC);
  if (fd < 0) return errno;
  const ssize_t written = write(fd, value, size);
  const int error = written < 0 ? errno : 0;
  close(fd);
  if (error != 0) return error;
  return static_cast<std::size_t>(written) == size ? 0 : EIO;
}

absl::StatusOr<std::string> ReadFile(const std::string& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("reading ", file));
  std::array<char, 256> text = {};
  const ssize_t size = read(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  if (size < 0) return ErrnoStatus(error, absl::StrCat("reading ", file));
  return std::string(absl::StripAsciiWhitespace(
      {text.data(), static_cast<std::size_t>(size)}));
}

// A parameter of type bool takes 1 and 0 and shows Y and N.
absl::string_view Canonical(absl::string_view value) {
  if (value == "Y") return "1";
  if (value == "N") return "0";
  return value;
}

absl::Status CheckTook(const HostSetting& setting) {
  absl::StatusOr<std::string> found = ReadFile(setting.file);
  if (!found.ok()) return found.status();
  if (Canonical(*found) == Canonical(setting.value)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("knob \"", setting.name, "\" did not take ", setting.value,
                   ": ", setting.file, " holds ", *found));
}

// What the keeper does. `old` was made before the fork.
[[noreturn]] void Keep(int pipe, const std::vector<HostSetting>& old) {
  setsid();  // a signal to the terminal's process group is not for it
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // It holds nothing open: whoever reads what the command prints is to see its
  // end.
  dup2(pipe, 0);
  close_range(1, ~0U, 0);
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
  int failed = 0;
  for (const HostSetting& setting : old) {
    if (WriteFile(setting.file.c_str(), setting.value.data(),
                  setting.value.size()) != 0) {
      failed = 1;
    }
  }
  _exit(failed);
}

}  // namespace

HostSettings::HostSettings(HostSettings&& other) noexcept
    : old_(std::move(other.old_)),
      keeper_(std::exchange(other.keeper_, -1)),
      pipe_(std::exchange(other.pipe_, -1)) {
  other.old_.clear();
}

HostSettings& HostSettings::operator=(HostSettings&& other) noexcept {
  if (this != &other) {
    Restore().IgnoreError();
    old_ = std::move(other.old_);
    other.old_.clear();
    keeper_ = std::exchange(other.keeper_, -1);
    pipe_ = std::exchange(other.pipe_, -1);
  }
  return *this;
}

HostSettings::~HostSettings() { Restore().IgnoreError(); }

absl::Status HostSettings::StartKeeper() {
  std::array<int, 2> ends = {-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "a pipe to the process that puts settings back");
  }
  keeper_ = fork();
  if (keeper_ == 0) {
    close(ends[1]);
    Keep(ends[0], old_);
  }
  const int error = errno;
  close(ends[0]);
  pipe_ = ends[1];
  if (keeper_ < 0) {
    return ErrnoStatus(error, "starting the process that puts settings back");
  }
  return absl::OkStatus();
}

absl::StatusOr<HostSettings> HostSettings::Apply(
    const std::vector<HostSetting>& wanted) {
  if (wanted.empty()) return HostSettings();
  std::vector<HostSetting> old;
  for (const HostSetting& setting : wanted) {
    absl::StatusOr<std::string> value = ReadFile(setting.file);
    if (!value.ok()) return value.status();
    old.push_back({setting.name, setting.file, *std::move(value)});
  }
  // What was changed last is put back first.
  std::reverse(old.begin(), old.end());
  HostSettings settings(std::move(old));
  absl::Status started = settings.StartKeeper();
  if (!started.ok()) return started;
  // From here on a return puts back whatever was changed.
  for (const HostSetting& setting : wanted) {
    const int error = WriteFile(setting.file.c_str(), setting.value.data(),
                                setting.value.size());
    if (error != 0) {
      return ErrnoStatus(error,
                         absl::StrCat("setting knob \"", setting.name, "\" to ",
                                      setting.value, " in ", setting.file));
    }
    absl::Status took = CheckTook(setting);
    if (!took.ok()) return took;
  }
  return settings;
}

absl::Status HostSettings::Restore() {
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
  if (keeper_ > 0) {
    const pid_t keeper = std::exchange(keeper_, -1);
    while (waitpid(keeper, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  absl::Status status;
  for (const HostSetting& setting : std::exchange(old_, {})) {
    status.Update(CheckTook(setting));
  }
  return status;
}

std::vector<HostSetting> HostSettingsAmong(const KnobSet& knobs,
                                           const KnobSettings& settings) {
  std::vector<HostSetting> chosen;
  for (const auto& [name, value] : settings) {
    const Knob* knob = knobs.Find(name);
    if (knob == nullptr || knob->scope != KnobScope::kHost) continue;
    const bool is_bool = knob->type == KnobType::kBool;
    const char* const bit = ParseKnobBool(value).value_or(false) ? "1" : "0";
    chosen.push_back({name, knob->file, is_bool ? bit : value});
  }
  return chosen;
}

}  // namespace worldswitch
