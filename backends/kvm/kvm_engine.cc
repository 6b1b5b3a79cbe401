#include "backends/kvm/kvm_engine.h"

#include <cpuid.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

constexpr std::array<KvmEngine, 3> kEngines = {
    KvmEngine::kIntel, KvmEngine::kAmd, KvmEngine::kPvm};

// The first line of a small file, trimmed; false if it cannot be read.
bool ReadLine(const fs::path& path, std::string* line) {
  std::ifstream file(path);
  if (!file || (!std::getline(file, *line) && !file.eof())) return false;
  absl::StripAsciiWhitespace(line);
  return true;
}

bool IsLive(const std::string& sysfs, const char* module) {
  const fs::path directory = fs::path(sysfs) / "module" / module;
  std::error_code error;
  if (!fs::is_directory(directory, error)) return false;
  const fs::path state_file = directory / "initstate";
  if (!fs::exists(state_file, error)) return true;  // built in
  std::string state;
  return ReadLine(state_file, &state) && state == "live";
}

}  // namespace

const char* KvmEngineName(KvmEngine engine) {
  switch (engine) {
    case KvmEngine::kIntel:
      return "kvm_intel";
    case KvmEngine::kAmd:
      return "kvm_amd";
    case KvmEngine::kPvm:
      return "kvm_pvm";
    case KvmEngine::kUnknown:
      break;
  }
  return "unknown";
}

KvmEngine IdentifyKvmEngine(const std::string& sysfs) {
  KvmEngine found = KvmEngine::kUnknown;
  for (const KvmEngine engine : kEngines) {
    if (!IsLive(sysfs, KvmEngineName(engine))) continue;
    if (found != KvmEngine::kUnknown) return KvmEngine::kUnknown;
    found = engine;
  }
  return found;
}

std::vector<Fact> ModuleParameters(const std::string& sysfs,
                                   absl::string_view module) {
  std::vector<Fact> parameters;
  const fs::path directory =
      fs::path(sysfs) / "module" / std::string(module) / "parameters";
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end;
       !error && entry != end; entry.increment(error)) {
    std::string value;
    if (!ReadLine(entry->path(), &value)) value = "(not readable)";
    parameters.push_back({entry->path().filename().string(), value});
  }
  std::sort(parameters.begin(), parameters.end(),
            [](const Fact& a, const Fact& b) { return a.name < b.name; });
  return parameters;
}

bool RunsUnderHypervisor() {
  constexpr unsigned kHypervisorPresent = 1u << 31;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 &&
         (ecx & kHypervisorPresent) != 0;
}

}  // namespace worldswitch
