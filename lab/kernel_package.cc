#include "lab/kernel_package.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/host/suggest.h"
#include "lab/kernel_modules.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "linux-image-";
constexpr char kNewest[] = "linux-image-cloud-amd64";
constexpr std::chrono::seconds kLookUpLimit(60);
constexpr std::chrono::seconds kDownloadLimit(600);
constexpr std::chrono::seconds kUnpackLimit(120);

// What a lab may load, with what it needs.
const std::vector<std::string>& Wanted() {
  static const auto* const names =
      new std::vector<std::string>{"msr", "kvm_amd", "kvm_intel"};
  return *names;
}

absl::Status WithRemedy(const absl::Status& status, absl::string_view what) {
  if (absl::IsCancelled(status)) return status;
  const char* remedy =
      absl::IsNotFound(status)
          ? "; kernels are fetched as Debian packages: elsewhere give "
            "--kernel VMLINUZ+MODULES"
          : "\nTry 'apt-get update', another --kernel-package, or "
            "--kernel VMLINUZ+MODULES.";
  return absl::UnavailableError(
      absl::StrCat(what, ": ", status.message(), remedy));
}

absl::Status MakeDirectories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("making the directory ", path, ": ", error.message(),
                   "; the lab keeps its kernels there"));
}

// "linux-image-6.1.0-56-cloud-amd64" and the like that are served.
std::vector<std::string> ServedKernels(const StopFlag& stop) {
  std::vector<std::string> names;
  absl::StatusOr<std::string> text =
      RunTool({"apt-cache", "search", "--names-only",
               "^linux-image-[0-9].*-cloud-amd64$"},
              "", kLookUpLimit, stop);
  if (!text.ok()) return names;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const absl::string_view name = line.substr(0, line.find(' '));
    if (absl::StartsWith(name, kPrefix)) names.emplace_back(name);
  }
  return names;
}

// The kernel that a package without one depends on, such as the package that
// always follows the newest.
absl::StatusOr<std::string> KernelBehind(const std::string& package,
                                         const StopFlag& stop) {
  const std::string what = absl::StrCat("looking up ", package);
  absl::StatusOr<std::string> text =
      RunTool({"apt-cache", "depends", package}, "", kLookUpLimit, stop);
  if (!text.ok()) return WithRemedy(text.status(), what);
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    absl::string_view word = absl::StripAsciiWhitespace(line);
    if (absl::ConsumePrefix(&word, "Depends: ") &&
        absl::StartsWith(word, kPrefix)) {
      return std::string(word);
    }
  }
  return WithRemedy(absl::UnavailableError("it leads to no kernel"), what);
}

// Looked up once: results stay comparable from one day to the next.
absl::StatusOr<std::string> LookUpNewest(const std::string& cache,
                                         const LabProgress& progress,
                                         const StopFlag& stop) {
  const std::string kept = absl::StrCat(cache, "/newest");
  absl::StatusOr<std::string> name = ReadWholeFile(kept);
  if (name.ok()) return std::string(absl::StripAsciiWhitespace(*name));
  progress("looking up the newest cloud kernel");
  absl::StatusOr<std::string> newest = KernelBehind(kNewest, stop);
  if (!newest.ok()) return newest;
  if (absl::Status made = MakeDirectories(cache); !made.ok()) return made;
  // Whole or not at all: another lab may read it now.
  absl::StatusOr<TemporaryDirectory> work = TemporaryDirectory::Make(cache);
  if (!work.ok()) return work.status();
  absl::Status written =
      WriteWholeFile(work->File("newest"), absl::StrCat(*newest, "\n"));
  if (!written.ok()) return written;
  std::error_code error;
  fs::rename(work->File("newest"), kept, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("keeping ", kept, ": ", error.message()));
  }
  return newest;
}

absl::Status CheckName(const std::string& name) {
  for (const char letter : name) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(letter)) ||
        absl::StrContains("+-.~", std::string(1, letter))) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' is not the name of a Debian package"));
  }
  return absl::OkStatus();
}

absl::StatusOr<fs::path> OnlyFile(const fs::path& directory,
                                  const std::string& prefix,
                                  const std::string& suffix) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, prefix) && absl::EndsWith(name, suffix)) {
      return entry.path();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("the package holds no ", prefix, "*", suffix));
}

// Copies out of an unpacked package what a lab needs, 10 MB of 100. NotFound:
// it holds no kernel.
absl::Status Keep(const std::string& unpacked, const std::string& version,
                  const std::string& kept) {
  absl::StatusOr<fs::path> vmlinuz =
      OnlyFile(unpacked + "/boot", "vmlinuz-", "");
  if (!vmlinuz.ok()) return vmlinuz.status();
  absl::StatusOr<KernelModules> modules =
      KernelModules::In(unpacked + "/lib/modules");
  if (!modules.ok()) return modules.status();
  absl::StatusOr<std::vector<KernelModule>> wanted =
      modules->LoadOrder(Wanted());
  if (!wanted.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "this kernel is no good for a lab: ", wanted.status().message()));
  }
  if (absl::Status made = MakeDirectories(kept + "/modules"); !made.ok()) {
    return made;
  }
  for (const KernelModule& module : *wanted) {
    absl::Status written = WriteWholeFile(
        absl::StrCat(kept, "/modules/", module.name, ".ko"), module.bytes);
    if (!written.ok()) return written;
  }
  absl::StatusOr<std::string> bytes = ReadWholeFile(vmlinuz->string());
  if (!bytes.ok()) return bytes.status();
  absl::Status written = WriteWholeFile(kept + "/vmlinuz", *bytes);
  if (!written.ok()) return written;
  return WriteWholeFile(kept + "/version", version + "\n");
}

absl::Status FetchInto(const std::string& name, const std::string& kept,
                       const std::string& cache, const LabProgress& progress,
                       const StopFlag& stop) {
  if (absl::Status made = MakeDirectories(cache); !made.ok()) return made;
  absl::StatusOr<TemporaryDirectory> work = TemporaryDirectory::Make(cache);
  if (!work.ok()) return work.status();
  progress(absl::StrCat("downloading ", name));
  absl::StatusOr<std::string> downloaded = RunTool(
      {"apt-get", "download", name}, work->path(), kDownloadLimit, stop);
  if (!downloaded.ok()) {
    const std::vector<std::string> served = ServedKernels(stop);
    absl::Status failed =
        WithRemedy(downloaded.status(), absl::StrCat("downloading ", name));
    if (absl::IsCancelled(failed) || served.empty()) return failed;
    return absl::UnavailableError(absl::StrCat(
        failed.message(), "\nServed here", KnownNames(name, served)));
  }
  absl::StatusOr<fs::path> package = OnlyFile(work->path(), name, ".deb");
  if (!package.ok()) return package.status();
  progress(absl::StrCat("unpacking ", name));
  const std::string unpacked = work->File("unpacked");
  absl::StatusOr<std::string> done =
      RunTool({"dpkg", "-x", package->string(), unpacked}, work->path(),
              kUnpackLimit, stop);
  if (!done.ok()) return WithRemedy(done.status(), "unpacking " + name);
  const std::vector<std::string> parts =
      absl::StrSplit(package->filename().string(), '_');
  const std::string kernel = work->File("kernel");
  absl::Status made =
      Keep(unpacked, parts.size() > 1 ? parts[1] : "unknown", kernel);
  if (!made.ok()) return made;
  std::error_code error;
  fs::rename(kernel, kept, error);
  // Another lab may have been quicker.
  if (error && !fs::exists(kept)) {
    return absl::UnavailableError(
        absl::StrCat("keeping ", kept, ": ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace

std::string LabCacheDirectory(const std::string& program) {
  const fs::path build = fs::path(program).parent_path().parent_path();
  std::error_code ignored;
  // All presets share the kernels: build/release/bin/worldswitch, build/lab.
  if (fs::exists(build / "CMakeCache.txt", ignored)) {
    return (build.parent_path() / "lab").string();
  }
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') {
    return absl::StrCat(cache, "/worldswitch/lab");
  }
  const char* home = std::getenv("HOME");
  return absl::StrCat(home == nullptr ? "" : home, "/.cache/worldswitch/lab");
}

absl::StatusOr<KernelFiles> ParseKernelFiles(const std::string& text) {
  std::error_code ignored;
  std::string trouble = "it has no '+'";
  for (std::size_t plus = text.find('+'); plus != std::string::npos;
       plus = text.find('+', plus + 1)) {
    const std::string vmlinuz = text.substr(0, plus);
    const std::string modules = text.substr(plus + 1);
    if (!fs::is_regular_file(vmlinuz, ignored)) {
      trouble = absl::StrCat("there is no kernel ", vmlinuz);
    } else if (!fs::is_directory(modules, ignored)) {
      trouble = absl::StrCat("there is no directory of modules ", modules);
    } else {
      return KernelFiles{vmlinuz, "", vmlinuz, modules};
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "a kernel is given as VMLINUZ+MODULES, such as "
      "/boot/vmlinuz-6.1.0-1-amd64+/lib/modules/6.1.0-1-amd64; of '",
      text, "': ", trouble));
}

absl::StatusOr<KernelFiles> FetchKernel(const std::string& package,
                                        const std::string& cache,
                                        const LabProgress& progress,
                                        const StopFlag& stop) {
  std::string name = package;
  if (name.empty()) {
    absl::StatusOr<std::string> newest = LookUpNewest(cache, progress, stop);
    if (!newest.ok()) return newest.status();
    name = *newest;
  }
  if (!absl::StartsWith(name, kPrefix)) name = absl::StrCat(kPrefix, name);
  if (absl::Status sane = CheckName(name); !sane.ok()) return sane;
  const std::string kept = absl::StrCat(cache, "/", name);
  absl::StatusOr<std::string> version = ReadWholeFile(kept + "/version");
  if (!version.ok()) {
    absl::Status fetched = FetchInto(name, kept, cache, progress, stop);
    if (absl::IsNotFound(fetched)) {
      absl::StatusOr<std::string> behind = KernelBehind(name, stop);
      if (!behind.ok()) return behind.status();
      return FetchKernel(*behind, cache, progress, stop);
    }
    if (!fetched.ok()) return fetched;
    version = ReadWholeFile(kept + "/version");
    if (!version.ok()) return version.status();
  }
  return KernelFiles{name, std::string(absl::StripAsciiWhitespace(*version)),
                     kept + "/vmlinuz", kept + "/modules"};
}

}  // namespace worldswitch
