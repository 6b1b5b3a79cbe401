#include "core/host/fingerprint.h"

#include <cpuid.h>
#include <x86intrin.h>

#include <algorithm>
#include <cmath>
#include <ctime>
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

namespace worldswitch {
namespace {

constexpr absl::string_view kMomentary = "now.";
constexpr char kNone[] = "none";

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

  // The first line; of "a [b] c" the choice in force. kNone where empty.
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
    return line.empty() || line == "(null)" ? kNone : line;
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

// "0-2,8" to 0 1 2 8; what is not such a list gives what could be read of it.
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

bool Contains(const std::vector<int>& cpus, int cpu) {
  return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

// ---- The TSC ---------------------------------------------------------------

CpuidResult Cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidResult result;
  __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
  return result;
}

struct ClockPair {
  std::uint64_t ticks = 0;
  double seconds = 0;
};

// Both clocks at one moment: the tightest of a few attempts.
bool ReadBothClocks(ClockPair* pair) {
  std::uint64_t tightest = ~std::uint64_t{0};
  for (int attempt = 0; attempt < 16; ++attempt) {
    timespec now{};
    _mm_lfence();
    const std::uint64_t before = __rdtsc();
    if (clock_gettime(CLOCK_MONOTONIC_RAW, &now) != 0) return false;
    _mm_lfence();
    const std::uint64_t width = __rdtsc() - before;
    if (width >= tightest) continue;
    tightest = width;
    pair->ticks = before + width / 2;
    pair->seconds = static_cast<double>(now.tv_sec) +
                    static_cast<double>(now.tv_nsec) * 1e-9;
  }
  return true;
}

double MeasureTscHz() {
  ClockPair start;
  ClockPair end;
  if (!ReadBothClocks(&start)) return 0;
  const timespec pause{0, 20'000'000};
  nanosleep(&pause, nullptr);  // cut short by a signal: less exact, not wrong
  if (!ReadBothClocks(&end) || end.seconds <= start.seconds) return 0;
  return static_cast<double>(end.ticks - start.ticks) /
         (end.seconds - start.seconds);
}

bool UnderHypervisor(const CpuSource& cpu) {
  return (cpu.cpuid(1, 0).ecx & (1U << 31)) != 0;
}

// The twelve letters of CPUID 40000000h, for example "KVMKVMKVM".
std::string HypervisorSignature(const CpuSource& cpu) {
  if (!UnderHypervisor(cpu)) return kNone;
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

struct TscFrequency {
  double hz = 0;
  std::string source;
};

// What CPUID says; hz 0 where it says nothing (SDM 3B "Determining the
// Processor Base Frequency").
TscFrequency ToldTscFrequency(const CpuSource& cpu) {
  const std::uint32_t last_leaf = cpu.cpuid(0, 0).eax;
  if (last_leaf >= 0x15) {
    const CpuidResult ratio = cpu.cpuid(0x15, 0);
    if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0) {
      return {static_cast<double>(ratio.ecx) * ratio.ebx / ratio.eax,
              "CPUID 15h"};
    }
  }
  if (last_leaf >= 0x16) {
    const std::uint32_t base_mhz = cpu.cpuid(0x16, 0).eax & 0xffff;
    if (base_mhz != 0) return {base_mhz * 1e6, "CPUID 16h"};
  }
  if (UnderHypervisor(cpu) && cpu.cpuid(0x40000000, 0).eax >= 0x40000010) {
    const std::uint32_t khz = cpu.cpuid(0x40000010, 0).eax;
    if (khz != 0) return {khz * 1e3, "CPUID 40000010h"};
  }
  return {};
}

TscFrequency FindTscFrequency(const CpuSource& cpu) {
  TscFrequency told = ToldTscFrequency(cpu);
  const double measured = cpu.measure_tsc_hz();
  if (told.hz == 0) return {measured, measured > 0 ? "measured" : "not known"};
  if (measured == 0 || std::abs(measured - told.hz) <= told.hz * 1e-3) {
    return told;
  }
  return {measured,
          absl::StrFormat("measured; %s says %.0f Hz", told.source, told.hz)};
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
    ReadMoment();
    result_.hash = Hash();
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
    Add("cpu.flags", present.empty() ? kNone : absl::StrJoin(present, " "));
  }

  void ReadTscFacts() {
    const bool told = cpu_.cpuid(0x80000000, 0).eax >= 0x80000007;
    const bool invariant =
        told && (cpu_.cpuid(0x80000007, 0).edx & (1U << 8)) != 0;
    Add("tsc.invariant", invariant ? "yes" : "no");
    const TscFrequency frequency = FindTscFrequency(cpu_);
    result_.tsc_hz = frequency.hz;
    result_.tsc_source = frequency.source;
    Add("tsc.source", frequency.source);
    // A measured frequency is never the same twice.
    const bool measured = !absl::StartsWith(frequency.source, "CPUID");
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
                        : config       ? kNone
                                       : kNotReadable);
  }

  void ReadModules() {
    for (const std::string& module : files_.Names("sys/module")) {
      if (module != "kvm" && !absl::StartsWith(module, "kvm_")) continue;
      AddDirectory(absl::StrCat("module.", module, "."),
                   absl::StrCat("sys/module/", module, "/parameters"));
    }
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

  std::string Hash() const {
    std::vector<std::string> lines;
    for (const Fact& fact : result_.facts) {
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

  Files files_;
  const CpuSource& cpu_;
  Fingerprint result_;
};

}  // namespace

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

CpuSource ThisCpu() { return {&Cpuid, &MeasureTscHz}; }

Fingerprint ReadFingerprint(const std::string& root, const CpuSource& cpu) {
  return Reader(root, cpu).Read();
}

// ---- Distortions -----------------------------------------------------------

namespace {

void FindFrequencyDistortions(const Fingerprint& host, int pinned_cpu,
                              std::vector<Distortion>* found) {
  for (const OnlineCpu& cpu : host.cpus) {
    if (pinned_cpu >= 0 && cpu.number != pinned_cpu) continue;
    if (cpu.governor == kNotReadable || cpu.governor == "performance") continue;
    found->push_back(
        {"governor",
         absl::StrCat("governor of CPU ", cpu.number, " is ", cpu.governor,
                      ": the clock follows the load, the TSC does not"),
         "cpupower frequency-set -g performance"});
    break;
  }
  const std::string& turbo = host.ValueOf("cpu.turbo");
  if (absl::StartsWith(turbo, "on")) {
    found->push_back(
        {"turbo", "turbo is on: core cycles per TSC tick vary with heat",
         absl::StrContains(turbo, "pstate")
             ? "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"
             : "echo 0 > /sys/devices/system/cpu/cpufreq/boost"});
  }
}

void FindTscDistortions(const Fingerprint& host,
                        std::vector<Distortion>* found) {
  const std::string& clocksource = host.ValueOf("clocksource");
  if (clocksource != "tsc" && clocksource != kNotReadable) {
    found->push_back(
        {"clocksource",
         absl::StrCat("clocksource is ", clocksource,
                      ": the kernel may have found the TSC unreliable"),
         "dmesg | grep -i tsc; echo tsc > /sys/devices/system/clocksource/"
         "clocksource0/current_clocksource"});
  }
  if (host.ValueOf("tsc.invariant") != "yes") {
    found->push_back({"tsc",
                      "the TSC is not invariant: ticks change with frequency "
                      "and sleep",
                      "in a virtual machine pass invtsc to its CPU model; "
                      "otherwise measure on another machine"});
  }
}

void FindCpuDistortions(const Fingerprint& host, int pinned_cpu,
                        std::vector<Distortion>* found) {
  if (pinned_cpu < 0) {
    found->push_back({"not pinned",
                      "the measuring thread may move between CPUs",
                      "taskset -c CPU, with a CPU other than 0"});
    if (host.ValueOf("cpu.smt_active") == "1") {
      found->push_back({"smt", "SMT is on: a sibling may share the core",
                        "echo off > /sys/devices/system/cpu/smt/control"});
    }
    return;
  }
  const auto cpu = std::find_if(
      host.cpus.begin(), host.cpus.end(),
      [pinned_cpu](const OnlineCpu& one) { return one.number == pinned_cpu; });
  if (cpu != host.cpus.end() && cpu->thread_siblings.size() > 1) {
    std::vector<int> others = cpu->thread_siblings;
    others.erase(std::remove(others.begin(), others.end(), pinned_cpu),
                 others.end());
    found->push_back(
        {"smt",
         absl::StrCat("CPU ", pinned_cpu, " shares its core with CPU ",
                      absl::StrJoin(others, ",")),
         "echo off > /sys/devices/system/cpu/smt/control"});
  }
  if (pinned_cpu == 0) {
    found->push_back({"cpu 0",
                      "CPU 0 takes the kernel's housekeeping and most "
                      "interrupts",
                      "pin to another CPU"});
  } else if (!Contains(ParseCpuList(host.ValueOf("cpu.isolated")),
                       pinned_cpu)) {
    found->push_back(
        {"not isolated",
         absl::StrCat("CPU ", pinned_cpu,
                      " is not isolated: the scheduler puts others on it"),
         absl::StrFormat("boot with isolcpus=%d nohz_full=%d rcu_nocbs=%d",
                         pinned_cpu, pinned_cpu, pinned_cpu)});
  }
}

void FindKernelDistortions(const Fingerprint& host,
                           std::vector<Distortion>* found) {
  if (host.ValueOf("memory.ksm") == "1") {
    found->push_back({"ksm",
                      "KSM merges guest pages: writes fault without warning",
                      "echo 0 > /sys/kernel/mm/ksm/run"});
  }
  const std::string& balancing = host.ValueOf("memory.numa_balancing");
  int mode = 0;
  if (absl::SimpleAtoi(balancing, &mode) && mode != 0) {
    found->push_back({"numa balancing",
                      "NUMA balancing unmaps guest pages to watch them",
                      "sysctl kernel.numa_balancing=0"});
  }
  const std::string& events = host.ValueOf("now.kvm_events");
  if (events == "1" || events == "X") {
    found->push_back({"tracing", "kvm tracepoints are on: each exit pays them",
                      "echo 0 > /sys/kernel/tracing/events/kvm/enable"});
  }
  const std::string& tracer = host.ValueOf("now.tracer");
  if (tracer != "nop" && tracer != kNotReadable) {
    found->push_back({"tracer",
                      absl::StrCat("the ", tracer, " tracer is running"),
                      "echo nop > /sys/kernel/tracing/current_tracer"});
  }
  const std::string& debug = host.ValueOf("kernel.debug");
  if (debug != kNone && debug != kNotReadable) {
    found->push_back({"debug kernel",
                      absl::StrCat("the kernel is built with ", debug),
                      "boot a kernel without these options"});
  }
}

void FindLoadDistortions(const Fingerprint& host,
                         std::vector<Distortion>* found) {
  const std::vector<absl::string_view> load =
      absl::StrSplit(host.ValueOf("now.load"), ' ');
  double last_minute = 0;
  if (!absl::SimpleAtod(load.front(), &last_minute)) return;
  // One busy thread is allowed: it may have been the run before this one.
  const double limit =
      std::max(1.0, 0.25 * static_cast<double>(host.cpus.size()));
  if (last_minute > limit) {
    found->push_back({"load",
                      absl::StrFormat("load average is %.2f on %d CPUs",
                                      last_minute, host.cpus.size()),
                      "stop what else is running: top"});
  }
}

}  // namespace

std::vector<Distortion> FindDistortions(const Fingerprint& fingerprint,
                                        int pinned_cpu) {
  std::vector<Distortion> found;
  const std::string& hypervisor = fingerprint.ValueOf("cpu.hypervisor");
  if (hypervisor != kNone) {
    found.push_back(
        {"nested",
         absl::StrCat("this host is itself a guest of ", hypervisor,
                      ": every switch may cost switches below"),
         "measure on bare metal; here compare only within one run"});
  }
  FindTscDistortions(fingerprint, &found);
  FindFrequencyDistortions(fingerprint, pinned_cpu, &found);
  FindCpuDistortions(fingerprint, pinned_cpu, &found);
  FindLoadDistortions(fingerprint, &found);
  FindKernelDistortions(fingerprint, &found);
  return found;
}

}  // namespace worldswitch
