// A host and a CPU of a test's own making, for what reads them: a FakeHost with
// WriteQuiet() is one on which nothing distorts measurements on CPU 3, and
// BareCpu() is the CPU that goes with it.

#ifndef WORLDSWITCH_TESTS_UNIT_FAKE_HOST_H_
#define WORLDSWITCH_TESTS_UNIT_FAKE_HOST_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/tsc_frequency.h"
#include "gtest/gtest.h"

namespace worldswitch {

// Two CPUs, 0 and 3.
inline constexpr char kCpuInfo[] =
    "processor\t: 0\n"
    "vendor_id\t: GenuineIntel\n"
    "cpu family\t: 6\n"
    "model\t\t: 85\n"
    "model name\t: Some CPU @ 2.50GHz\n"
    "stepping\t: 7\n"
    "microcode\t: 0x5003901\n"
    "flags\t\t: fpu vme rdtscp constant_tsc nonstop_tsc vmx x2apic\n"
    "\n"
    "processor\t: 3\n"
    "vendor_id\t: GenuineIntel\n"
    "microcode\t: 0x1\n";

// A root with the files of a host of our own making.
class FakeHost {
 public:
  FakeHost() {
    std::string pattern = testing::TempDir() + "fingerprint.XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~FakeHost() { std::filesystem::remove_all(root_); }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::trunc) << text;
  }
  // A host on which nothing distorts measurements on CPU 3.
  void WriteQuiet() const {
    const std::string cpu = "sys/devices/system/cpu/";
    Write("proc/cpuinfo", kCpuInfo);
    Write("proc/cmdline", "ro mitigations=auto isolcpus=3 quiet\n");
    Write("proc/loadavg", "0.10 0.20 0.30 1/200 4242\n");
    Write("proc/sys/kernel/osrelease", "6.1.0-test\n");
    Write("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n");
    Write("proc/sys/kernel/numa_balancing", "0\n");
    Write(
        "boot/config-6.1.0-test",
        "CONFIG_SMP=y\n# CONFIG_KASAN is not set\nCONFIG_LOCKDEP_SUPPORT=y\n");
    Write("sys/devices/system/clocksource/clocksource0/current_clocksource",
          "tsc\n");
    Write(cpu + "isolated", "2-3\n");
    Write(cpu + "nohz_full", "  (null)\n");
    Write(cpu + "smt/active", "0\n");
    Write(cpu + "intel_pstate/no_turbo", "1\n");
    for (const char* number : {"0", "3"}) {
      Write(absl::StrCat(cpu, "cpu", number, "/cpufreq/scaling_governor"),
            "performance\n");
      Write(absl::StrCat(cpu, "cpu", number, "/topology/thread_siblings_list"),
            absl::StrCat(number, "\n"));
    }
    Write(cpu + "vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
    Write(cpu + "vulnerabilities/l1tf", "Not affected\n");
    Write("sys/kernel/mm/transparent_hugepage/enabled",
          "always [madvise] never\n");
    Write("sys/kernel/mm/ksm/run", "0\n");
    Write("sys/module/kvm/parameters/halt_poll_ns", "200000\n");
    Write("sys/module/kvm_other/parameters/nested", "Y\n");
    Write("sys/module/unrelated/parameters/kvm", "1\n");
    Write("sys/kernel/tracing/events/kvm/enable", "0\n");
    Write("sys/kernel/tracing/current_tracer", "nop\n");
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

// A CPU that answers from a table, and 0 otherwise.
inline CpuSource FakeCpu(std::map<std::uint32_t, CpuidResult> leaves,
                         double measured_hz) {
  return {[leaves = std::move(leaves)](std::uint32_t leaf, std::uint32_t) {
            const auto found = leaves.find(leaf);
            return found == leaves.end() ? CpuidResult{} : found->second;
          },
          [measured_hz] { return measured_hz; }};
}

// Bare metal, invariant TSC of 25 MHz * 100 / 1 = 2.5 GHz.
inline std::map<std::uint32_t, CpuidResult> BareLeaves() {
  return {{0, {.eax = 0x16}},
          {0x15, {.eax = 1, .ebx = 100, .ecx = 25'000'000}},
          {0x80000000, {.eax = 0x80000008}},
          {0x80000007, {.edx = 1U << 8}}};
}
inline CpuSource BareCpu() { return FakeCpu(BareLeaves(), 2'500'000'100); }

// A guest of KVM, which tells no frequency in leaf 15h.
inline std::map<std::uint32_t, CpuidResult> GuestLeaves() {
  std::map<std::uint32_t, CpuidResult> leaves = BareLeaves();
  leaves[1].ecx = 1U << 31;
  leaves[0x15] = {};
  leaves[0x40000000] = {
      .eax = 0x40000010, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d};
  return leaves;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_UNIT_FAKE_HOST_H_
