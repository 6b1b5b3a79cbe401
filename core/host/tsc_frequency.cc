#include "core/host/tsc_frequency.h"

#include <cpuid.h>
#include <x86intrin.h>

#include <cmath>
#include <ctime>

#include "absl/strings/str_format.h"

namespace worldswitch {
namespace {

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

}  // namespace

CpuSource ThisCpu() { return {&Cpuid, &MeasureTscHz}; }

bool UnderHypervisor(const CpuSource& cpu) {
  return (cpu.cpuid(1, 0).ecx & (1U << 31)) != 0;
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

}  // namespace worldswitch
