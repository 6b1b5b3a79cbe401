// A program of ours, run as a user would run it: its exit code, what it says,
// and where it is run.

#ifndef WORLDSWITCH_TESTS_SYSTEM_CHILD_PROGRAM_H_
#define WORLDSWITCH_TESTS_SYSTEM_CHILD_PROGRAM_H_

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace worldswitch {

struct Outcome {
  int code = -1;  // 128 + n where signal n ended it
  std::string out;
  std::string err;
};

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class ChildProgram {
 public:
  ChildProgram() = default;
  // folder: where its output goes, into the files "out" and "err".
  ChildProgram(std::string program, std::string folder)
      : program_(std::move(program)), folder_(std::move(folder)) {}

  // before: run in the child, its output already in the files.
  pid_t Start(const std::vector<std::string>& arguments,
              const std::function<void()>& before = nullptr) const {
    const pid_t child = fork();
    if (child != 0) return child;
    const int out = Create("out");
    const int err = Create("err");
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    std::vector<char*> words = {const_cast<char*>(program_.c_str())};
    for (const std::string& argument : arguments) {
      words.push_back(const_cast<char*>(argument.c_str()));
    }
    words.push_back(nullptr);
    if (before) before();
    execv(program_.c_str(), words.data());
    _exit(127);
  }

  Outcome Finish(pid_t child) const {
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome;
    outcome.code =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.out = ReadFile(folder_ + "/out");
    outcome.err = ReadFile(folder_ + "/err");
    return outcome;
  }

  Outcome Run(const std::vector<std::string>& arguments,
              const std::function<void()>& before = nullptr) const {
    return Finish(Start(arguments, before));
  }

 private:
  int Create(const char* name) const {
    return open((folder_ + "/" + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                0600);
  }

  std::string program_;
  std::string folder_;
};

// For Start's `before`: this process sees /dev/null where /dev/kvm was. Where
// that is not allowed it ends with kCannotHide and says why.
inline constexpr int kCannotHide = 125;
inline void HideDevKvm() {
  const int spaces = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
  if (unshare(spaces) == 0 &&
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      mount("/dev/null", "/dev/kvm", nullptr, MS_BIND, nullptr) == 0) {
    return;
  }
  std::fprintf(stderr, "/dev/kvm cannot be hidden from a process here: %s\n",
               std::strerror(errno));
  std::fflush(stderr);
  _exit(kCannotHide);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_SYSTEM_CHILD_PROGRAM_H_
