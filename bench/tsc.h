// The time-stamp counter, read so that the reads stay where they are written:
// ReadTsc() before what is measured, ReadTscEnd() after it. Header-only and
// freestanding: guests, ring 0 and host programs use the same two functions.
//
// Why these fences (SDM 2B "RDTSC", "RDTSCP"; APM 3 "RDTSC"):
// - RDTSC orders nothing by itself. LFENCE before it lets every earlier
//   instruction complete first, so that their time is not counted.
// - RDTSCP waits for all earlier instructions and loads, which is what the end
//   needs; LFENCE after it keeps later instructions from starting early.
// - Earlier stores may still be on their way at both ends. Fencing them with
//   MFENCE would measure the store buffer, so nobody does.
// - On AMD, LFENCE waits only where it is dispatch-serialising
//   (MSR C001_1029[1], APM 2 3.2); Linux sets that bit.
// - Never CPUID as the fence: in a guest it is itself a VM exit.
//
// An engine that emulates ring 0 may not know RDTSCP: there use ReadTsc() at
// both ends.

#ifndef WORLDSWITCH_BENCH_TSC_H_
#define WORLDSWITCH_BENCH_TSC_H_

#include <cstdint>

namespace worldswitch {

// The start of a measured region. Ticks of the TSC: reference cycles at
// `tsc_hz`, not core cycles. Any thread; no state.
inline std::uint64_t ReadTsc() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  // "memory": the compiler moves no access across it either.
  asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

// The end of a measured region. *cpu (not null) becomes the CPU the read was
// made on: the low 12 bits of IA32_TSC_AUX, where Linux keeps node << 12 | cpu.
// Elsewhere, in a bare ring 0 or a guest, it is whatever that MSR holds. CPU
// numbers of 4096 and more come back modulo 4096.
inline std::uint64_t ReadTscEnd(std::uint32_t* cpu) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  std::uint32_t aux = 0;
  asm volatile("rdtscp\n\tlfence"
               : "=a"(low), "=d"(high), "=c"(aux)
               :
               : "memory");
  *cpu = aux & 0xfff;
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_TSC_H_
