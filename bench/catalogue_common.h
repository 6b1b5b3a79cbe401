// What the catalogue's files share. Freestanding.

#ifndef WORLDSWITCH_BENCH_CATALOGUE_COMMON_H_
#define WORLDSWITCH_BENCH_CATALOGUE_COMMON_H_

#include <cstdint>

#include "bench/scenario.h"

namespace worldswitch {

inline constexpr GuestModeSet kReal = ModeBit(GuestMode::kReal);
inline constexpr GuestModeSet kRing0 = ModeBit(GuestMode::kRing0);
inline constexpr GuestModeSet kRing3 = ModeBit(GuestMode::kRing3);
inline constexpr GuestModeSet kAllModes = kReal | kRing0 | kRing3;
inline constexpr GuestModeSet kPrivileged = kReal | kRing0;

// How most scenarios are proven.
inline constexpr const char* kSeen =
    "run returns this exit, with its port or address, once an iteration";
inline constexpr const char* kCounted =
    "the engine's exits counter moves once an iteration, against a control";

inline constexpr const char* kHandled =
    "the guest's handler counts one interrupt an iteration";

// For blocks whose every iteration may wait for the host's scheduler.
inline constexpr std::uint32_t kSlowBlock = 10;

// What rows that are to be compared access alike.
inline constexpr std::uint64_t kMsrTscAdjust = 0x3b;  // IA32_TSC_ADJUST
inline constexpr std::uint64_t kElcrMaster = 0x4d0;   // of the in-kernel PIC

// MSRs of a local APIC in x2APIC mode, and bits of ICR (SDM 3A, 11.6.1).
inline constexpr std::uint64_t kX2apicIcr = 0x830;
inline constexpr std::uint64_t kX2apicSelfIpi = 0x83f;
inline constexpr std::uint64_t kIcrToSelf = 1u << 18;  // shorthand
inline constexpr std::uint64_t kIcrAssert = 1u << 14;  // level

// Turns the local APICs on, in x2APIC mode, with the timer in deadline mode.
// catalogue_irqchip.cc.
bool StartApics(VmOps& vm);
// How often WS_APIC_VECTOR's handler ran, or vCPU 1 had its turn.
std::uint64_t Delivered(VmOps& vm);

// Sets CR4.OSXSAVE. catalogue_asked.cc.
bool StartXsave(VmOps& vm);

// Why some scenarios have no real mode.
inline constexpr const char* kAboveOneMib =
    "it needs more memory than real mode reaches";

inline bool IsPort(const Exit& exit, std::uint16_t port, bool is_write) {
  return exit.reason == ExitReason::kIo && exit.io.port == port &&
         exit.io.is_write == is_write;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_CATALOGUE_COMMON_H_
