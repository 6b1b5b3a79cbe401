// The lab's /init, the first and only process of its own there: loads the
// modules, runs the command, sends what it prints and writes through the
// parallel port, and ends the emulator. Linked statically; standard C++ and
// Linux only. Whatever fails is said over the channel before the end.

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/guest_channel.h"
#include "lab/guest_plan.h"

namespace worldswitch {
namespace {

// Ends QEMU, by its isa-debug-exit device.
constexpr std::uint16_t kQemuExitPort = 0xf4;
// Ends Bochs, which waits for a word there.
constexpr std::uint16_t kBochsExitPort = 0x8900;
// The console's line status register: bit 6, all that was sent is out.
constexpr std::uint16_t kLineStatusPort = 0x3fd;
constexpr unsigned kTransmitterEmpty = 0x40;

// ---- The channel ----

void SendBytes(const char* bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    outb(static_cast<unsigned char>(bytes[i]), kParallelData);
    outb(kParallelStrobe, kParallelControl);
    outb(kParallelSelected, kParallelControl);
  }
}

void SendFrame(GuestFrameType type, const char* bytes, std::size_t count) {
  const std::string header = GuestFrameHeader(type, count);
  SendBytes(header.data(), header.size());
  SendBytes(bytes, count);
}

void SendText(GuestFrameType type, const std::string& text) {
  SendFrame(type, text.data(), std::min(text.size(), kMaxFramePayload));
}

[[noreturn]] void EndEmulator() {
  // What the kernel has said is to be on the console's file.
  while ((inb(kLineStatusPort) & kTransmitterEmpty) == 0) {
  }
  outl(0, kQemuExitPort);
  for (const char* word = "Shutdown"; *word != '\0'; ++word) {
    outb(static_cast<unsigned char>(*word), kBochsExitPort);
  }
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

// attempted failed with errno.
[[noreturn]] void Refuse(const std::string& attempted) {
  SendText(GuestFrameType::kRefused, attempted + ": " + std::strerror(errno));
  EndEmulator();
}

// ---- Files ----

std::string ReadFile(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  close(fd);
  return text;
}

// What tells a file from the one that was there before.
struct FileState {
  ino_t inode;
  off_t size;
  timespec changed;

  bool operator==(const FileState& other) const {
    return inode == other.inode && size == other.size &&
           changed.tv_sec == other.changed.tv_sec &&
           changed.tv_nsec == other.changed.tv_nsec;
  }
};

std::optional<FileState> StateOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::nullopt;
  }
  return FileState{info.st_ino, info.st_size, info.st_mtim};
}

void SendFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Refuse("opening " + path);
  SendText(GuestFrameType::kFile, path);
  std::vector<char> buffer(kMaxFramePayload);
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0) Refuse("reading " + path);
    if (count == 0) break;
    SendFrame(GuestFrameType::kFileData, buffer.data(),
              static_cast<std::size_t>(count));
  }
  SendText(GuestFrameType::kFileEnd, path);
  close(fd);
}

// ---- The steps ----

void MountKernelFiles() {
  const struct {
    const char* type;
    const char* where;
  } kMounts[] = {{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}};
  for (const auto& [type, where] : kMounts) {
    if (mount(type, where, type, 0, nullptr) != 0 && errno != EBUSY) {
      Refuse(std::string("mounting ") + where);
    }
  }
}

void LoadModule(const GuestModule& module) {
  const int fd = open(module.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Refuse("opening module " + module.path);
  if (syscall(SYS_finit_module, fd, module.parameters.c_str(), 0) != 0) {
    Refuse("loading module " + module.path +
           (module.parameters.empty() ? "" : " with " + module.parameters));
  }
  close(fd);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void RunCommand(const GuestPlan& plan, int out, int err) {
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  // Addresses are part of what has to be the same in every boot.
  personality(ADDR_NO_RANDOMIZE);
  if (chdir(plan.directory.c_str()) == 0) {
    execve(plan.program.c_str(), Pointers(plan.arguments).data(),
           Pointers(plan.environment).data());
  }
  const std::string why = "worldswitch lab: cannot run " + plan.program + ": " +
                          std::strerror(errno) + "\n";
  if (write(STDERR_FILENO, why.data(), why.size()) < 0) _exit(126);
  _exit(127);
}

// Until both ends are closed. A higher priority than the command's makes what
// it prints leave at once, rather than in the midst of what it measures later.
void Relay(int out, int err) {
  pollfd ends[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  const GuestFrameType types[2] = {GuestFrameType::kOutput,
                                   GuestFrameType::kError};
  char buffer[4096];
  int open_ends = 2;
  while (open_ends > 0) {
    if (poll(ends, 2, -1) < 0 && errno != EINTR) Refuse("poll");
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t count = read(ends[i].fd, buffer, sizeof(buffer));
      if (count > 0) {
        SendFrame(types[i], buffer, static_cast<std::size_t>(count));
      } else if (count == 0) {
        ends[i].fd = -1;
        ends[i].revents = 0;
        --open_ends;
      }
    }
  }
}

// The command's exit, as waitpid says it. Orphans come by as well.
int WaitFor(pid_t child) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) Refuse("waitpid");
  }
}

int Execute(const GuestPlan& plan) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) Refuse("pipe");
  sched_param priority = {};
  priority.sched_priority = 1;
  sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority);
  const pid_t child = fork();
  if (child < 0) Refuse("fork");
  if (child == 0) RunCommand(plan, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  Relay(out[0], err[0]);
  return WaitFor(child);
}

[[noreturn]] void Main() {
  if (iopl(3) != 0) Refuse("iopl");
  outb(kParallelSelected, kParallelControl);
  MountKernelFiles();
  const char kName[] = "lab";
  if (sethostname(kName, std::strlen(kName)) != 0) Refuse("sethostname");
  SendText(GuestFrameType::kHello,
           ReadFile("/proc/version") + ReadFile("/proc/cpuinfo"));
  const std::optional<GuestPlan> plan =
      ParseGuestPlan(ReadFile(kGuestPlanPath));
  if (!plan.has_value()) {
    errno = EINVAL;
    Refuse("reading the plan");
  }
  for (const GuestModule& module : plan->modules) LoadModule(module);

  std::map<std::string, std::optional<FileState>> before;
  for (const std::string& path : plan->files) before[path] = StateOf(path);
  const int status = Execute(*plan);
  for (const auto& [path, state] : before) {
    const std::optional<FileState> after = StateOf(path);
    if (after.has_value() && after != state) SendFile(path);
  }
  if (WIFSIGNALED(status)) {
    SendText(GuestFrameType::kSignalled, std::to_string(WTERMSIG(status)));
  } else {
    SendText(GuestFrameType::kExited, std::to_string(WEXITSTATUS(status)));
  }
  EndEmulator();
}

}  // namespace
}  // namespace worldswitch

int main() { worldswitch::Main(); }
