// What this host is, as far as it bears on the cost of a world switch: the
// facts beside every result, a hash of those that stay, and what distorts
// figures here at the moment, with the remedy. Reads only; nothing is changed.

#ifndef WORLDSWITCH_CORE_HOST_FINGERPRINT_H_
#define WORLDSWITCH_CORE_HOST_FINGERPRINT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/host/backend.h"

namespace worldswitch {

// The value of a fact whose file is missing or not for this user to read.
inline constexpr char kNotReadable[] = "not readable";

// One CPU that is online.
struct OnlineCpu {
  int number = 0;
  std::string governor;  // "performance"; or kNotReadable
  // CPUs on the same core, itself included, ascending. Empty: not told.
  std::vector<int> thread_siblings;
};

struct Fingerprint {
  // In the order read; printable ASCII. Names are dotted: "cpu.model_name",
  // "kernel.release", "vulnerability.l1tf", "module.kvm.halt_poll_ns". Those
  // under "now." hold only at the moment and are not part of the hash.
  std::vector<Fact> facts;
  // 16 hexadecimal digits: FNV-1a 64 over the lines "name=value\n" of the
  // facts that stay, sorted. Equal hashes: the same host, set up the same.
  std::string hash;
  // TSC ticks per second; 0 where it could not be found.
  double tsc_hz = 0;
  // "CPUID 15h", "CPUID 16h", "CPUID 40000010h" (the hypervisor's), or
  // "measured", with the reason where CPUID was not believed.
  std::string tsc_source;
  std::vector<OnlineCpu> cpus;

  // The value of a fact, or "" where there is none of that name.
  const std::string& ValueOf(absl::string_view name) const;
};

// False for facts that hold only at the moment.
bool IsStableFact(absl::string_view name);

struct CpuidResult {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};

// What is asked of the CPU itself rather than of files; tests replace it.
struct CpuSource {
  std::function<CpuidResult(std::uint32_t leaf, std::uint32_t subleaf)> cpuid;
  // TSC ticks per second by the host's clock; 0 where it has none.
  std::function<double()> measure_tsc_hz;
};

// The CPU this runs on. The measurement compares the TSC with
// CLOCK_MONOTONIC_RAW over 20 ms of sleep; where the TSC is the clocksource,
// that is the frequency the kernel found.
CpuSource ThisCpu();

// Takes some 20 ms. root: where proc/ and sys/ are looked for; another one
// than "/" is for tests. What cannot be read is kNotReadable, never an error.
// A frequency that CPUID gives is used only if the measurement agrees with it
// to 0.1 %: a hypervisor may pass the leaves of another machine through.
Fingerprint ReadFingerprint(const std::string& root = "/",
                            const CpuSource& cpu = ThisCpu());

// Something that makes figures on this host differ from what they would be.
struct Distortion {
  std::string name;    // "nested", "governor", "smt", ...
  std::string why;     // one line
  std::string remedy;  // one line: a command, or what to do instead
};

// All that the fingerprint shows to be wrong now. pinned_cpu: where the
// measuring thread is pinned, -1 if it is not. What could not be read is not
// reported: absence of a distortion is no proof. Mitigations are facts and not
// distortions: they are part of what a switch costs.
std::vector<Distortion> FindDistortions(const Fingerprint& fingerprint,
                                        int pinned_cpu);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_FINGERPRINT_H_
