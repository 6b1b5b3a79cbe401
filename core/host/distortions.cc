#include "core/host/distortions.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace worldswitch {
namespace {

bool Contains(const std::vector<int>& cpus, int cpu) {
  return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

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
  if (debug != kNoValue && debug != kNotReadable) {
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
  // Counts of instructions are not distorted by clocks and neighbours.
  if (!fingerprint.ValueOf("lab.emulator").empty()) {
    FindKernelDistortions(fingerprint, &found);
    return found;
  }
  const std::string& hypervisor = fingerprint.ValueOf("cpu.hypervisor");
  if (hypervisor != kNoValue) {
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
