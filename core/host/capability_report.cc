#include "core/host/capability_report.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

const char* MsrRemedy(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENXIO:
      return "load the module: modprobe msr";
    case EACCES:
    case EPERM:
      return "read it as root, outside of kernel lockdown";
    case EIO:
      return "this processor has no such MSR, or its hypervisor hides it";
    default:
      return "";
  }
}

// The kernel's file of a CPU's MSRs: the offset is the index.
absl::StatusOr<std::uint64_t> ReadMsr(const std::string& path,
                                      std::uint32_t index) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(errno, absl::StrCat("open of ", path), MsrRemedy(errno));
  }
  std::uint64_t value = 0;
  const ssize_t done =
      pread(fd, &value, sizeof(value), static_cast<off_t>(index));
  // The end of a file that is not the kernel's.
  const int error = done < 0 ? errno : EIO;
  close(fd);
  if (done == static_cast<ssize_t>(sizeof(value))) return value;
  return ErrnoStatus(error,
                     absl::StrFormat("read of MSR %#x from %s", index, path),
                     MsrRemedy(error));
}

}  // namespace

CapabilitySources HostCapabilitySources(const std::string& root) {
  const std::string base =
      !root.empty() && root.back() == '/' ? root : root + "/";
  CapabilitySources sources;
  sources.msr_source = base + "dev/cpu/0/msr";
  sources.read_msr = [path = sources.msr_source](std::uint32_t index) {
    return ReadMsr(path, index);
  };
  sources.cpu = ThisCpu();
  std::ifstream file(base + "proc/cpuinfo");
  std::stringstream text;
  text << file.rdbuf();
  sources.cpuinfo = text.str();
  return sources;
}

std::vector<std::string> CpuInfoWords(const std::string& cpuinfo,
                                      const std::string& name) {
  for (const absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(halves.first) == name) {
      return absl::StrSplit(halves.second, ' ', absl::SkipWhitespace());
    }
  }
  return {};
}

std::string RegisterTitle(const char* name, std::uint32_t index) {
  return absl::StrFormat("%s (%#x)", name, index);
}

}  // namespace worldswitch
