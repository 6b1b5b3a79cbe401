#include "native/local_timer.h"

#include "native/cpu.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kApicBase = 0x1b;
constexpr std::uint64_t kEnabled = 1u << 11;
constexpr std::uint64_t kX2apic = 1u << 10;
constexpr std::uint64_t kAddress = 0xffffff000;
constexpr std::uint32_t kX2apicMsrs = 0x800;
constexpr std::uint32_t kHasApic = 1u << 9;  // CPUID.01H:EDX

// Offsets (SDM 3A, table 11-1); their MSRs are those by 16.
constexpr std::uint32_t kEoi = 0xb0;
constexpr std::uint32_t kSpurious = 0xf0;
constexpr std::uint32_t kTimer = 0x320;
constexpr std::uint32_t kInitialCount = 0x380;
constexpr std::uint32_t kDivide = 0x3e0;

constexpr std::uint32_t kSoftwareEnabled = 0x100;
constexpr std::uint32_t kSpuriousVector = 0xff;
constexpr std::uint32_t kMasked = 1u << 16;
constexpr std::uint32_t kPeriodic = 1u << 17;
constexpr std::uint32_t kByOne = 0xb;

void Write(std::uint32_t offset, std::uint32_t value) {
  const std::uint64_t base = ReadMsr(kApicBase);
  if ((base & kX2apic) != 0) {
    WriteMsr(kX2apicMsrs + offset / 16, value);
  } else {
    *reinterpret_cast<volatile std::uint32_t*>((base & kAddress) + offset) =
        value;
  }
}

}  // namespace

bool SetUpLocalTimer() {
  if ((Cpuid(1).edx & kHasApic) == 0) return false;
  const std::uint64_t base = ReadMsr(kApicBase);
  if ((base & kEnabled) == 0) WriteMsr(kApicBase, base | kEnabled);
  Write(kSpurious, kSoftwareEnabled | kSpuriousVector);
  Write(kDivide, kByOne);
  StopLocalTimer();
  return true;
}

void StartLocalTimer(std::uint32_t counts) {
  Write(kTimer, kPeriodic | kTimerVector);
  Write(kInitialCount, counts);
}

void StopLocalTimer() {
  Write(kTimer, kMasked);
  Write(kInitialCount, 0);
}

void EndOfInterrupt() { Write(kEoi, 0); }

}  // namespace worldswitch::native
