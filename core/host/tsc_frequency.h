// How fast the TSC ticks: what CPUID says of it, checked against the host's
// clock. FindTscFrequency(ThisCpu()) is the frequency here; tests put a
// CpuSource of their own in its place.

#ifndef WORLDSWITCH_CORE_HOST_TSC_FREQUENCY_H_
#define WORLDSWITCH_CORE_HOST_TSC_FREQUENCY_H_

#include <cstdint>
#include <functional>
#include <string>

namespace worldswitch {

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

// CPUID 1, ECX bit 31: no processor sets it, hypervisors do.
bool UnderHypervisor(const CpuSource& cpu);

struct TscFrequency {
  double hz = 0;  // ticks per second; 0 where it could not be found
  // "CPUID 15h", "CPUID 16h", "CPUID 40000010h" (the hypervisor's), "measured",
  // with the reason where CPUID was not believed, or "not known".
  std::string source;
};

// Takes as long as cpu.measure_tsc_hz does. What CPUID gives is used only if
// the measurement, where there is one, agrees with it to 0.1 %: a hypervisor
// may pass the leaves of another machine through.
TscFrequency FindTscFrequency(const CpuSource& cpu);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_TSC_FREQUENCY_H_
