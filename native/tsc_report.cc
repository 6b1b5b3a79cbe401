#include "native/tsc_report.h"

#include <cstdint>

#include "bench/tsc.h"
#include "native/cpu.h"
#include "native/log_writer.h"
#include "native/tsc_frequency.h"

namespace worldswitch::native {
namespace {

constexpr std::uint16_t kChannel2 = 0x42;
constexpr std::uint16_t kMode = 0x43;
constexpr std::uint8_t kChannel2Mode0 = 0xb0;  // low byte, then high; binary

// Port 61H, the PC's "system control port B".
constexpr std::uint16_t kControl = 0x61;
constexpr std::uint8_t kGate = 0x01;
constexpr std::uint8_t kSpeaker = 0x02;
constexpr std::uint8_t kWritable = 0x0f;
constexpr std::uint8_t kOut = 0x20;

constexpr std::uint16_t kCount = 59'659;  // 50 ms
constexpr int kTries = 3;
// More than 50 ms of any TSC: there is no PIT, or its clock is stopped.
constexpr std::uint64_t kMostTicks = 1u << 29;

// How many ticks a count takes. That OUT went high is known only between two
// looks at it, so an SMI at an edge makes one try's range wider and not wrong:
// what is in all ranges is nearer.
struct TickRange {
  std::uint64_t least = 0;
  std::uint64_t most = kMostTicks;
};

// One count. False: nothing counts.
bool Narrow(TickRange* range) {
  Out8(kMode, kChannel2Mode0);  // OUT is low from here on
  Out8(kChannel2, kCount & 0xff);
  // An OUT is over when the next instruction begins (SDM 1, "Ordering I/O").
  const std::uint64_t begin = ReadTsc();
  Out8(kChannel2, kCount >> 8);
  const std::uint64_t begun = ReadTsc();
  std::uint64_t low = begin;
  for (;;) {
    const std::uint64_t look = ReadTsc();
    const bool high = (In8(kControl) & kOut) != 0;
    const std::uint64_t ticks = ReadTsc() - begin;
    if (ticks > kMostTicks) return false;
    if (high) {
      if (low == begin) return false;
      if (low - begun > range->least) range->least = low - begun;
      if (ticks < range->most) range->most = ticks;
      return true;
    }
    low = look;
  }
}

// Too wide for any TSC where there is no PIT, or one only sometimes.
TickRange MeasureByPit() {
  TickRange range;
  const auto control = static_cast<std::uint8_t>(In8(kControl) & kWritable);
  Out8(kControl, static_cast<std::uint8_t>((control & ~kSpeaker) | kGate));
  for (int i = 0; i < kTries; ++i) {
    if (Narrow(&range)) continue;
    range = {};
    break;
  }
  Out8(kControl, control);
  return range;
}

TscLeaves ReadLeaves() {
  const CpuidLeaf ratio = Cpuid(0x15);
  return {.last_leaf = Cpuid(0).eax,
          .signature = Cpuid(1).eax,
          .denominator = ratio.eax,
          .numerator = ratio.ebx,
          .crystal_hz = ratio.ecx,
          .base_mhz = Cpuid(0x16).eax};
}

void LogKnown(const char* key, std::uint64_t value) {
  if (value != 0) LogInfo(key, value);
}

bool IsInvariant() {
  return Cpuid(0x80000000).eax >= 0x80000007 &&
         (Cpuid(0x80000007).edx & 1u << 8) != 0;
}

}  // namespace

void ReportTsc(bool ticks_are_time) {
  LogInfo("tsc_invariant", IsInvariant() ? "yes" : "no");
  if (!ticks_are_time) return;
  const TickRange range = MeasureByPit();
  const PitTscHz pit = TscHzByPit(kCount, range.least, range.most);
  const TscLeaves leaves = ReadLeaves();
  const std::uint64_t crystal = CrystalTscHz(leaves);
  const std::uint64_t base = BaseTscHz(leaves);
  const TscFrequency found = ChooseTscFrequency(crystal, pit.hz, base);
  LogInfo("tsc_source", found.source);
  LogKnown("tsc_hz", found.hz);
  LogKnown("tsc_cpuid_15h_hz", crystal);
  LogKnown("tsc_cpuid_16h_hz", base);
  LogKnown("tsc_pit_hz", pit.hz);
  LogKnown("tsc_pit_error_ppm", pit.error_ppm);
}

}  // namespace worldswitch::native
