#include "core/host/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/host/lab_environment.h"

namespace worldswitch {
namespace {

constexpr absl::string_view kMomentary = "now.";

// ---- Files -----------------------------------------------------------------

// Facts that are the first line of a file.
struct FileFact {
  const char* name;
  const char* path;
};
constexpr FileFact kFileFacts[] = {
    {"kernel.release", "proc/sys/kernel/osrelease"},
    {"kernel.version", "proc/sys/kernel/version"},
    {"kernel.nmi_watchdog", "proc/sys/kernel/nmi_watchdog"},
    {"clocksource",
     "sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {"cpu.online", "sys/devices/system/cpu/online"},
    {"cpu.isolated", "sys/devices/system/cpu/isolated"},
    {"cpu.nohz_full", "sys/devices/system/cpu/nohz_full"},
    {"cpu.smt_active", "sys/devices/system/cpu/smt/active"},
    {"cpu.smt_control", "sys/devices/system/cpu/smt/control"},
    {"cpu.idle_driver", "sys/devices/system/cpu/cpuidle/current_driver"},
    {"memory.thp", "sys/kernel/mm/transparent_hugepage/enabled"},
    {"memory.ksm", "sys/kernel/mm/ksm/run"},
    {"memory.numa_balancing", "proc/sys/kernel/numa_balancing"},
};

// Words of the kernel's command line that change what a switch costs.
constexpr const char* kCommandLineKeys[] = {"mitigations", "isolcpus",
                                            "nohz_full", "rcu_nocbs"};

// CPU flags that a reader of the figures wants to know about.
constexpr const char* kFlags[] = {
    "hypervisor",         "constant_tsc", "nonstop_tsc",
    "tsc_known_freq",     "rdtscp",       "x2apic",
    "tsc_deadline_timer", "vmx",          "svm"};

// Kernel options that slow every path down.
constexpr const char* kDebugOptions[] = {"KASAN", "KCSAN", "KMSAN",
                                         "PROVE_LOCKING", "LOCKDEP"};

// One line of printable ASCII, whatever a file or CPUID holds.
std::string Printable(absl::string_view text) {
  std::string line(absl::StripAsciiWhitespace(text));
  for (char& letter : line) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(letter))) letter = '?';
  }
  return line;
}

class Files {
 public:
  explicit Files(const std::string& root) : root_(root) {}

  std::filesystem::path PathOf(const std::string& path) const {
    return root_ / path;
  }

  std::optional<std::string> Text(const std::string& path) const {
    std::ifstream file(PathOf(path));
    if (!file) return std::nullopt;
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) return std::nullopt;
    return text;
  }

  // The first line; of "a [b] c" the choice in force. kNoValue where empty.
  std::string Value(const std::string& path) const {
    std::ifstream file(PathOf(path));
    std::string line;
    if (!file) return kNotReadable;
    if (!std::getline(file, line) && file.bad()) return kNotReadable;
    const std::size_t open = line.find('[');
    const std::size_t close = line.find(']');
    if (open != std::string::npos && close != std::string::npos &&
        open < close) {
      line = line.substr(open + 1, close - open - 1);
    }
    line = Printable(line);
    return line.empty() || line == "(null)" ? kNoValue : line;
  }

  // Names in a directory, sorted; none where it cannot be read.
  std::vector<std::string> Names(const std::string& path) const {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(PathOf(path), error);
    while (!error && entry != std::filesystem::directory_iterator()) {
      names.push_back(entry->path().filename().string());
      entry.increment(error);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::filesystem::path root_;
};

// The twelve letters of CPUID 40000000h, for example "KVMKVMKVM".
std::string HypervisorSignature(const CpuSource& cpu) {
  if (!UnderHypervisor(cpu)) return kNoValue;
  const CpuidResult leaf = cpu.cpuid(0x40000000, 0);
  std::string signature;
  for (const std::uint32_t word : {leaf.ebx, leaf.ecx, leaf.edx}) {
    for (int shift = 0; shift < 32; shift += 8) {
      signature.push_back(static_cast<char>((word >> shift) & 0xff));
    }
  }
  while (!signature.empty() && signature.back() == '\0') signature.pop_back();
  signature = Printable(signature);
  return signature.empty() ? "unnamed" : signature;
}

// ---- Facts -----------------------------------------------------------------

class Reader {
 public:
  Reader(const std::string& root, const CpuSource& cpu)
      : files_(root), cpu_(cpu) {}

  Fingerprint Read() {
    ReadCpuInfo();
    ReadTscFacts();
    for (const FileFact& fact : kFileFacts) {
      Add(fact.name, files_.Value(fact.path));
    }
    ReadFrequencyPolicy();
    ReadCommandLine();
    ReadKernelDebug();
    AddDirectory("vulnerability.", "sys/devices/system/cpu/vulnerabilities");
    ReadModules();
    ReadLab();
    ReadMoment();
    result_.hash = FingerprintHash(result_.facts);
    return std::move(result_);
  }

 private:
  void Add(std::string name, std::string value) {
    result_.facts.push_back({std::move(name), std::move(value)});
  }

  // Every file of a directory as "<prefix><file>".
  void AddDirectory(const std::string& prefix, const std::string& path) {
    for (const std::string& name : files_.Names(path)) {
      Add(absl::StrCat(prefix, Printable(name)),
          files_.Value(absl::StrCat(path, "/", name)));
    }
  }

  void ReadCpuInfo() {
    const std::string text = files_.Text("proc/cpuinfo").value_or("");
    // The first value of each key: the first CPU's.
    const auto first = [&text](absl::string_view key) -> std::string {
      for (const absl::string_view line : absl::StrSplit(text, '\n')) {
        const std::pair<absl::string_view, absl::string_view> parts =
            absl::StrSplit(line, absl::MaxSplits(':', 1));
        if (absl::StripAsciiWhitespace(parts.first) == key) {
          return Printable(parts.second);
        }
      }
      return kNotReadable;
    };
    Add("cpu.vendor", first("vendor_id"));
    Add("cpu.model_name", first("model name"));
    Add("cpu.family", first("cpu family"));
    Add("cpu.model", first("model"));
    Add("cpu.stepping", first("stepping"));
    Add("cpu.microcode", first("microcode"));
    AddFlags(first("flags"));
    Add("cpu.hypervisor", HypervisorSignature(cpu_));

    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const std::pair<absl::string_view, absl::string_view> parts =
          absl::StrSplit(line, absl::MaxSplits(':', 1));
      OnlineCpu cpu;
      if (absl::StripAsciiWhitespace(parts.first) == "processor" &&
          absl::SimpleAtoi(parts.second, &cpu.number)) {
        const std::string directory =
            absl::StrCat("sys/devices/system/cpu/cpu", cpu.number);
        cpu.governor =
            files_.Value(absl::StrCat(directory, "/cpufreq/scaling_governor"));
        cpu.thread_siblings = ParseCpuList(files_.Value(
            absl::StrCat(directory, "/topology/thread_siblings_list")));
        result_.cpus.push_back(std::move(cpu));
      }
    }
    Add("cpu.count", absl::StrCat(result_.cpus.size()));
  }

  void AddFlags(const std::string& flags) {
    if (flags == kNotReadable) return Add("cpu.flags", flags);
    const std::vector<std::string> all = absl::StrSplit(flags, ' ');
    std::vector<std::string> present;
    for (const char* flag : kFlags) {
      if (std::find(all.begin(), all.end(), flag) != all.end()) {
        present.emplace_back(flag);
      }
    }
    Add("cpu.flags", present.empty() ? kNoValue : absl::StrJoin(present, " "));
  }

  void ReadTscFacts() {
    const bool told = cpu_.cpuid(0x80000000, 0).eax >= 0x80000007;
    const bool invariant =
        told && (cpu_.cpuid(0x80000007, 0).edx & (1U << 8)) != 0;
    Add("tsc.invariant", invariant ? "yes" : "no");
    // A lab's clocks count instructions too, so no frequency can be had.
    const TscFrequency frequency =
        ThisLab() ? TscFrequency{0, "none: the TSC counts instructions"}
                  : FindTscFrequency(cpu_);
    result_.tsc_hz = frequency.hz;
    result_.tsc_source = frequency.source;
    Add("tsc.source", frequency.source);
    // A measured frequency is never the same twice.
    const bool measured =
        !ThisLab() && !absl::StartsWith(frequency.source, "CPUID");
    Add(measured ? "now.tsc_hz" : "tsc.hz",
        absl::StrFormat("%.0f", frequency.hz));
  }

  void ReadFrequencyPolicy() {
    std::vector<std::string> governors;
    for (const OnlineCpu& cpu : result_.cpus) governors.push_back(cpu.governor);
    std::sort(governors.begin(), governors.end());
    governors.erase(std::unique(governors.begin(), governors.end()),
                    governors.end());
    Add("cpu.governor",
        governors.empty() ? kNotReadable : absl::StrJoin(governors, " and "));

    const std::string no_turbo =
        files_.Value("sys/devices/system/cpu/intel_pstate/no_turbo");
    const std::string boost =
        files_.Value("sys/devices/system/cpu/cpufreq/boost");
    if (no_turbo != kNotReadable) {
      Add("cpu.turbo",
          no_turbo == "0" ? "on (intel_pstate)" : "off (intel_pstate)");
    } else if (boost != kNotReadable) {
      Add("cpu.turbo", boost == "1" ? "on (boost)" : "off (boost)");
    } else {
      Add("cpu.turbo", kNotReadable);
    }
  }

  void ReadCommandLine() {
    const std::optional<std::string> text = files_.Text("proc/cmdline");
    for (const char* key : kCommandLineKeys) {
      const std::string prefix = absl::StrCat(key, "=");
      std::string value = text ? "not given" : kNotReadable;
      for (absl::string_view word :
           absl::StrSplit(text.value_or(""), absl::ByAnyChar(" \n"))) {
        // The last one counts, as it does for the kernel.
        if (absl::ConsumePrefix(&word, prefix)) value = Printable(word);
      }
      Add(absl::StrCat("cmdline.", key), value);
    }
  }

  // Debug options of the running kernel, where its configuration lies about
  // as plain text. /proc/config.gz is compressed and not looked into.
  void ReadKernelDebug() {
    const std::string release = files_.Value("proc/sys/kernel/osrelease");
    std::optional<std::string> config =
        files_.Text(absl::StrCat("boot/config-", release));
    if (!config) {
      config = files_.Text(absl::StrCat("lib/modules/", release, "/config"));
    }
    std::vector<std::string> found;
    for (const char* option : kDebugOptions) {
      if (absl::StrContains(config.value_or(""),
                            absl::StrCat("\nCONFIG_", option, "=y\n"))) {
        found.emplace_back(option);
      }
    }
    if (!config && files_.Text("proc/lockdep_stats")) found = {"LOCKDEP"};
    Add("kernel.debug", !found.empty() ? absl::StrJoin(found, " ")
                        : config       ? kNoValue
                                       : kNotReadable);
  }

  void ReadModules() {
    for (const std::string& module : files_.Names("sys/module")) {
      if (module != "kvm" && !absl::StartsWith(module, "kvm_")) continue;
      AddDirectory(absl::StrCat("module.", module, "."),
                   absl::StrCat("sys/module/", module, "/parameters"));
    }
  }

  // What the lab says of itself, and what its CPU lacks.
  void ReadLab() {
    if (!ThisLab()) return;
    for (const Fact& fact : ThisLab()->facts) {
      Add(absl::StrCat("lab.", fact.name), fact.value);
    }
    const PathFeatures features =
        FindPathFeatures(files_.Text("proc/cpuinfo").value_or(""));
    Add("lab.features_present", features.present.empty()
                                    ? kNoValue
                                    : absl::StrJoin(features.present, ", "));
    Add("lab.features_absent", features.absent.empty()
                                   ? kNoValue
                                   : absl::StrJoin(features.absent, ", "));
  }

  void ReadMoment() {
    Add("now.load", files_.Value("proc/loadavg"));
    std::string kvm_events = kNotReadable;
    std::string tracer = kNotReadable;
    for (const char* tracefs :
         {"sys/kernel/tracing", "sys/kernel/debug/tracing"}) {
      if (kvm_events == kNotReadable) {
        kvm_events = files_.Value(absl::StrCat(tracefs, "/events/kvm/enable"));
      }
      if (tracer == kNotReadable) {
        tracer = files_.Value(absl::StrCat(tracefs, "/current_tracer"));
      }
    }
    Add("now.kvm_events", kvm_events);
    Add("now.tracer", tracer);
  }

  Files files_;
  const CpuSource& cpu_;
  Fingerprint result_;
};

}  // namespace

std::string FingerprintHash(const std::vector<Fact>& facts) {
  std::vector<std::string> lines;
  for (const Fact& fact : facts) {
    if (IsStableFact(fact.name)) {
      lines.push_back(absl::StrCat(fact.name, "=", fact.value, "\n"));
    }
  }
  std::sort(lines.begin(), lines.end());
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::string& line : lines) {
    for (const char letter : line) {
      hash ^= static_cast<unsigned char>(letter);
      hash *= 0x100000001b3;
    }
  }
  return absl::StrFormat("%016x", hash);
}

const std::string& Fingerprint::ValueOf(absl::string_view name) const {
  static const std::string* const kNothing = new std::string;
  for (const Fact& fact : facts) {
    if (fact.name == name) return fact.value;
  }
  return *kNothing;
}

bool IsStableFact(absl::string_view name) {
  return !absl::StartsWith(name, kMomentary);
}

std::vector<int> ParseCpuList(absl::string_view text) {
  constexpr int kMostCpus = 1 << 16;
  std::vector<int> cpus;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    int first = 0;
    int last = 0;
    if (!absl::SimpleAtoi(ends.first, &first)) continue;
    if (!absl::SimpleAtoi(ends.second, &last)) last = first;
    if (first < 0 || last >= kMostCpus) continue;
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

Fingerprint ReadFingerprint(const std::string& root, const CpuSource& cpu) {
  return Reader(root, cpu).Read();
}

}  // namespace worldswitch
