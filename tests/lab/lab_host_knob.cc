// What a test runs inside a lab: `worldswitch bench` with a host-wide knob,
// ended in every way, and what the knob's file holds meanwhile and after.
//
//   lab_host_knob COMMAND MODULE.PARAMETER VALUE
//
// Prints a line for each way out, "exit: 200000 12345 200000", of before,
// meanwhile and after. Exit code 1: a process could not be started, or the
// value never came.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace {

constexpr auto kPatience = std::chrono::seconds(60);
// From the setting to the measuring, where signals are awaited.
constexpr auto kIntoTheRun = std::chrono::milliseconds(100);
constexpr char kProgram[] = "/tmp/worldswitch";

std::string Read(const std::string& file) {
  std::ifstream stream(file);
  std::string word;
  stream >> word;
  return word;
}

// False: it never held `value`.
bool Becomes(const std::string& file, const std::string& value) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (Read(file) != value) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Long enough to be interrupted, unless it is to end by itself.
pid_t StartBench(const std::string& setting, bool brief) {
  const pid_t child = fork();
  if (child != 0) return child;
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDOUT_FILENO);
  dup2(null, STDERR_FILENO);
  const char* const samples = brief ? "20" : "1000000";
  execl(kProgram, kProgram, "bench", "--scenario", "user/pio_out", "--knob",
        setting.c_str(), "--samples", samples, "--repetitions", "2", nullptr);
  _exit(127);
}

bool TryWayOut(const char* name, int signal, const std::string& file,
               const std::string& setting, const std::string& value) {
  const std::string before = Read(file);
  const pid_t child = StartBench(setting, signal == 0);
  const bool came = Becomes(file, value);
  if (signal != 0) std::this_thread::sleep_for(kIntoTheRun);
  const std::string meanwhile = Read(file);
  if (signal != 0 || !came) kill(child, came ? signal : SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  const bool back = Becomes(file, before);
  std::printf("%s: %s %s %s, %s %d\n", name, before.c_str(), meanwhile.c_str(),
              Read(file).c_str(), WIFSIGNALED(status) ? "signal" : "code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return came && back;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: lab_host_knob COMMAND MODULE.NAME VALUE\n");
    return 2;
  }
  const std::string knob = argv[2];
  const std::string value = argv[3];
  const std::size_t dot = knob.find('.');
  const std::string file = "/sys/module/" + knob.substr(0, dot) +
                           "/parameters/" + knob.substr(dot + 1);
  // What goes into a lab by its name is not executable there.
  std::error_code error;
  std::filesystem::create_directories("/tmp", error);
  std::filesystem::copy_file(argv[1], kProgram, error);
  if (error || chmod(kProgram, 0755) != 0) {
    std::fprintf(stderr, "lab_host_knob: no copy of %s\n", argv[1]);
    return 1;
  }
  const std::string setting = knob + "=" + value;
  bool good = true;
  good = TryWayOut("exit", 0, file, setting, value) && good;
  good = TryWayOut("SIGINT", SIGINT, file, setting, value) && good;
  good = TryWayOut("SIGTERM", SIGTERM, file, setting, value) && good;
  good = TryWayOut("SIGKILL", SIGKILL, file, setting, value) && good;
  return good ? 0 : 1;
}
