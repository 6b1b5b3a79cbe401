// How fast the TSC ticks: what CPUID says of it, and what follows from counts
// of the PIT. Arithmetic alone; who asks the machine is tsc_report.h. As on a
// hosted run (core/host/tsc_frequency.h) leaf 15H holds only where the
// measurement, if there is one, agrees to 0.1 %. Frequencies are in Hz, 0:
// none. Pure; freestanding. Here in full, to be inlined: the image has little
// room.

#ifndef WORLDSWITCH_NATIVE_TSC_FREQUENCY_H_
#define WORLDSWITCH_NATIVE_TSC_FREQUENCY_H_

#include <cstdint>

namespace worldswitch::native {

// 0 where no TSC ticks so fast or so slowly.
inline std::uint64_t PlausibleTscHz(std::uint64_t hz) {
  return hz >= 100'000'000 && hz <= 10'000'000'000 ? hz : 0;
}

// What CPUID gives. Leaves beyond the last one hold another leaf's data.
struct TscLeaves {
  std::uint32_t last_leaf = 0;    // 00H:EAX
  std::uint32_t signature = 0;    // 01H:EAX
  std::uint32_t denominator = 0;  // 15H:EAX
  std::uint32_t numerator = 0;    // 15H:EBX
  std::uint32_t crystal_hz = 0;   // 15H:ECX; many CPUs leave it 0
  std::uint32_t base_mhz = 0;     // 16H:EAX, bits 15:0
};

// A crystal that leaf 15H leaves out, by the model (SDM 3B, "Determining the
// Processor Base Frequency"). Not of 06_55H: the SDM has 25 MHz, and there are
// boards with 24 MHz.
inline std::uint32_t CrystalOfModel(std::uint32_t signature) {
  switch (signature & 0x0fff0ff0) {  // without type and stepping
    case 0x000406e0:
    case 0x000506e0:
    case 0x000806e0:
    case 0x000906e0:
      return 24'000'000;
    case 0x000506c0:
      return 19'200'000;
    default:
      return 0;
  }
}

// By leaf 15H, rounded.
inline std::uint64_t CrystalTscHz(const TscLeaves& leaves) {
  if (leaves.last_leaf < 0x15 || leaves.denominator == 0) return 0;
  const std::uint64_t crystal_hz = leaves.crystal_hz != 0
                                       ? leaves.crystal_hz
                                       : CrystalOfModel(leaves.signature);
  // Three words of 32 bits: this fits in 64.
  return PlausibleTscHz(
      (crystal_hz * leaves.numerator + leaves.denominator / 2) /
      leaves.denominator);
}

// By leaf 16H: the frequency on the box, in whole MHz.
inline std::uint64_t BaseTscHz(const TscLeaves& leaves) {
  if (leaves.last_leaf < 0x16) return 0;
  return PlausibleTscHz(std::uint64_t{leaves.base_mhz & 0xffff} * 1'000'000);
}

struct PitTscHz {
  std::uint64_t hz = 0;
  std::uint64_t error_ppm = 0;  // how far off hz may be, rounded up
};

// A channel of the PIT in mode 0 was given `count`, and its OUT went high at
// least least_ticks and at most most_ticks of the TSC later. None where that is
// wider than 0.1 %.
inline PitTscHz TscHzByPit(std::uint32_t count, std::uint64_t least_ticks,
                           std::uint64_t most_ticks) {
  // The PIT's clock: a twelfth of 14.31818 MHz, which is 157.5 / 11.
  constexpr std::uint64_t kNumerator = 13'125'000;
  constexpr std::uint64_t kDenominator = 11;
  constexpr std::uint64_t kMostTicks = ~std::uint64_t{0} / kNumerator;
  // Clocks from the write on: what is left of one, one that loads the count,
  // and the count.
  constexpr std::uint64_t kClocksBefore = 2;
  if (count == 0 || least_ticks > most_ticks || most_ticks > kMostTicks) {
    return {};
  }
  const std::uint64_t least =
      least_ticks * kNumerator / (kDenominator * (count + kClocksBefore));
  const std::uint64_t most =
      most_ticks * kNumerator / (kDenominator * count) + 1;
  const std::uint64_t width = most - least;
  const std::uint64_t hz = PlausibleTscHz(least + width / 2);
  if (hz == 0 || width > hz / 1000) return {};
  return {.hz = hz, .error_ppm = width * 500'000 / hz + 1};
}

struct TscFrequency {
  std::uint64_t hz = 0;
  // "CPUID 15h", "measured by the PIT", "CPUID 16h" or "not known".
  const char* source = "not known";
};

// Leaf 15H where the measurement does not contradict it, else the measurement,
// else leaf 16H.
inline TscFrequency ChooseTscFrequency(std::uint64_t crystal,
                                       std::uint64_t measured,
                                       std::uint64_t base) {
  const std::uint64_t off =
      crystal > measured ? crystal - measured : measured - crystal;
  if (crystal != 0 && (measured == 0 || off <= crystal / 1000)) {
    return {.hz = crystal, .source = "CPUID 15h"};
  }
  if (measured != 0) return {.hz = measured, .source = "measured by the PIT"};
  if (base != 0) return {.hz = base, .source = "CPUID 16h"};
  return {};
}

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_TSC_FREQUENCY_H_
