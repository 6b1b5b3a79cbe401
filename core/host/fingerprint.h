// What this host is, as far as it bears on the cost of a world switch: the
// facts beside every result, and a hash of those that stay. Reads only; nothing
// is changed. What is wrong with a host is distortions.h's to say.

#ifndef WORLDSWITCH_CORE_HOST_FINGERPRINT_H_
#define WORLDSWITCH_CORE_HOST_FINGERPRINT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/host/backend.h"
#include "core/host/tsc_frequency.h"

namespace worldswitch {

// The value of a fact whose file is missing or not for this user to read.
inline constexpr char kNotReadable[] = "not readable";
// The value of a fact that was read and is empty: no driver, no hypervisor.
inline constexpr char kNoValue[] = "none";

// One CPU that is online.
struct OnlineCpu {
  int number = 0;
  std::string governor;  // "performance"; or kNotReadable
  // CPUs on the same core, itself included, ascending. Empty: not told.
  std::vector<int> thread_siblings;
};

struct Fingerprint {
  // In the order read; printable ASCII. Names are dotted: "cpu.model_name",
  // "kernel.release", "vulnerability.l1tf", "module.kvm.halt_poll_ns"; "lab.*"
  // only in a lab (lab_environment.h). Those
  // under "now." hold only at the moment and are not part of the hash.
  std::vector<Fact> facts;
  // 16 hexadecimal digits: FNV-1a 64 over the lines "name=value\n" of the
  // facts that stay, sorted. Equal hashes: the same host, set up the same.
  std::string hash;
  // TSC ticks per second; 0 where it could not be found, and in a lab.
  double tsc_hz = 0;
  // "CPUID 15h", "CPUID 16h", "CPUID 40000010h" (the hypervisor's), or
  // "measured", with the reason where CPUID was not believed.
  std::string tsc_source;
  std::vector<OnlineCpu> cpus;

  // The value of a fact, or "" where there is none of that name.
  const std::string& ValueOf(absl::string_view name) const;
};

// As Fingerprint::hash says.
std::string FingerprintHash(const std::vector<Fact>& facts);

// False for facts that hold only at the moment.
bool IsStableFact(absl::string_view name);

// Takes some 20 ms. root: where proc/ and sys/ are looked for; another one
// than "/" is for tests. What cannot be read is kNotReadable, never an error.
// A frequency that CPUID gives is used only if the measurement agrees with it
// to 0.1 %: a hypervisor may pass the leaves of another machine through.
Fingerprint ReadFingerprint(const std::string& root = "/",
                            const CpuSource& cpu = ThisCpu());

// "0-2,8", the kernel's way to write a set of CPUs, as 0 1 2 8. Of what is not
// such a list, such as kNotReadable, that which could be read of it.
std::vector<int> ParseCpuList(absl::string_view text);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_FINGERPRINT_H_
