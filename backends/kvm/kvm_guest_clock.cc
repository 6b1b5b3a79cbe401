#include "backends/kvm/kvm_guest_clock.h"

#include <sys/ioctl.h>
#include <x86intrin.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <vector>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"
#include "core/features/vcpu_state.h"

namespace worldswitch {
namespace {

// The guest that reads the TSC: real mode, at the start of memory.
constexpr unsigned char kReader[] = {
    0x0F, 0x31,  // rdtsc
    0xE6, 0x00,  // out %al, $0
};
constexpr std::uint64_t kReaderGpa = 0;

// How long ticks are counted for a rate: an entry takes some 30 us.
constexpr auto kRateSpan = std::chrono::milliseconds(10);

// A part that running the reader changes, as it was.
struct Borrowed {
  StatePart part;
  std::vector<std::byte> bytes;
};

bool Within(double value, double low, double high) {
  return low <= value && value <= high;
}

// NOLINTNEXTLINE(readability-non-const-parameter): KVM writes there
kvm_device_attr OffsetAttribute(std::uint64_t* offset) {
  kvm_device_attr attribute = {};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<std::uintptr_t>(offset);
  return attribute;
}

}  // namespace

// Guest ticks for one tick of the host: at least `low`, at most `high`.
struct KvmGuestClock::Rate {
  double low;
  double high;
};

KvmGuestClock::KvmGuestClock(KvmVm& vm) : vm_(vm) {}

OptionalValue KvmGuestClock::clock_ns() {
  kvm_clock_data clock = {};
  if (vm_.CheckExtension(KVM_CAP_ADJUST_CLOCK) == 0 ||
      ioctl(vm_.fd(), KVM_GET_CLOCK, &clock) != 0) {
    return {};
  }
  return {.known = true, .value = clock.clock};
}

ClockEffect KvmGuestClock::set_clock_ns(std::uint64_t ns) {
  using Clock = std::chrono::steady_clock;
  const OptionalValue old = clock_ns();
  const Clock::time_point start = Clock::now();
  kvm_clock_data clock = {};
  clock.clock = ns;
  if (!old.known || ioctl(vm_.fd(), KVM_SET_CLOCK, &clock) != 0) {
    Fail(old.known ? errno : EOPNOTSUPP);
    return ClockEffect::kRefused;
  }
  const OptionalValue now = clock_ns();
  // The two clocks may not run at quite the same speed.
  const auto passed =
      2 * static_cast<std::uint64_t>(
              std::chrono::nanoseconds(Clock::now() - start).count()) +
      1000000;
  const bool as_told = now.known && now.value - ns <= passed;
  const bool as_before = now.known && now.value - old.value <= passed;
  if (as_told && !as_before) return ClockEffect::kTookEffect;
  if (as_before && !as_told) return ClockEffect::kAcceptedNoEffect;
  return ClockEffect::kUnproven;
}

bool KvmGuestClock::RunReader(std::uint32_t vcpu) {
  KvmVcpu& reader = vm_.kvm_vcpu(vcpu);
  if (reader.fetch_registers(kAllRegisters) != Result::kOk) {
    return Fail(reader.last_error());
  }
  RegisterFile& file = reader.registers();
  // What a vCPU has at reset, but for where it begins (SDM 3A, 9.1.1).
  const Segment data = {
      .base = 0, .limit = 0xFFFF, .access_rights = 0x93, .selector = 0};
  SpecialRegisters& special = file.special;
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.cs = data;
  special.cs.access_rights = 0x9B;
  special.cr0 = 0x10;  // ET
  special.cr4 = 0;
  special.efer = 0;
  file.general = {};
  file.general.rip = kReaderGpa;
  file.general.rflags = 2;
  file.dirty = kAllRegisters;
  const Exit exit = reader.run();
  if (exit.reason == ExitReason::kInterrupted) {
    reader.kick_handle().Kick();  // it was for the caller's run
    return Fail(EINTR);
  }
  if (exit.reason != ExitReason::kIo || exit.io.port != 0) return Fail(EIO);
  return reader.fetch_registers(kGeneralRegisters) == Result::kOk ||
         Fail(reader.last_error());
}

bool KvmGuestClock::Read(std::uint32_t vcpu, Reading* reading) {
  auto* const state = FeatureOf<VcpuStateAccess>(vm_);
  std::byte* const code = vm_.memory().At(kReaderGpa, sizeof(kReader));
  if (vcpu >= vm_.vcpu_count() || code == nullptr) return Fail(EINVAL);
  Borrowed borrowed[] = {{StatePart::kGeneralRegisters, {}},
                         {StatePart::kSpecialRegisters, {}},
                         {StatePart::kEvents, {}}};
  for (auto& [part, bytes] : borrowed) {
    bytes.resize(state->part_size(vcpu, part));
    if (state->get_part(vcpu, part, bytes.data(), bytes.size()) !=
        Result::kOk) {
      return Fail(state->last_error());
    }
  }
  // Nothing may be delivered to the reader.
  kvm_vcpu_events quiet = {};
  quiet.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
  if (state->set_part(vcpu, StatePart::kEvents, &quiet, sizeof(quiet)) !=
      Result::kOk) {
    return Fail(state->last_error());
  }
  std::byte kept[sizeof(kReader)];
  std::memcpy(kept, code, sizeof(kept));
  std::memcpy(code, kReader, sizeof(kReader));

  reading->first = __rdtsc();
  bool good = RunReader(vcpu);
  reading->last = __rdtsc();
  const GeneralRegisters& general = vm_.kvm_vcpu(vcpu).registers().general;
  reading->guest = general.rdx << 32 | (general.rax & 0xFFFFFFFF);

  std::memcpy(code, kept, sizeof(kept));
  for (const auto& [part, bytes] : borrowed) {
    if (state->set_part(vcpu, part, bytes.data(), bytes.size()) !=
        Result::kOk) {
      good = Fail(state->last_error());
    }
  }
  return good;
}

Result KvmGuestClock::read_guest_tsc(std::uint32_t vcpu, std::uint64_t* tsc) {
  Reading reading;
  if (!Read(vcpu, &reading)) return Result::kError;
  *tsc = reading.guest;
  return Result::kOk;
}

OptionalValue KvmGuestClock::tsc_offset(std::uint32_t vcpu) {
  std::uint64_t offset = 0;
  kvm_device_attr attribute = OffsetAttribute(&offset);
  if (vcpu >= vm_.vcpu_count() ||
      ioctl(vm_.kvm_vcpu(vcpu).fd(), KVM_GET_DEVICE_ATTR, &attribute) != 0) {
    return {};
  }
  return {.known = true, .value = offset};
}

ClockEffect KvmGuestClock::set_tsc_offset(std::uint32_t vcpu,
                                          std::uint64_t offset) {
  Reading before;
  Reading after;
  // What is wanted is a change against what the guest has, whatever the engine
  // tells of it: by its answer where it gives one, else from zero.
  const std::uint64_t old = tsc_offset(vcpu).value;
  if (!Read(vcpu, &before)) return ClockEffect::kRefused;
  kvm_device_attr attribute = OffsetAttribute(&offset);
  if (ioctl(vm_.kvm_vcpu(vcpu).fd(), KVM_SET_DEVICE_ATTR, &attribute) != 0) {
    Fail(errno);
    return ClockEffect::kRefused;
  }
  if (!Read(vcpu, &after)) return ClockEffect::kUnproven;
  // By how much the guest went ahead of the host, modulo 2^64.
  const std::uint64_t least =
      (after.guest - after.last) - (before.guest - before.first);
  const std::uint64_t spread =
      (after.last - after.first) + (before.last - before.first);
  const bool as_told = (offset - old) - least <= spread;
  const bool as_before = 0 - least <= spread;
  if (as_told && !as_before) return ClockEffect::kTookEffect;
  if (as_before && !as_told) return ClockEffect::kAcceptedNoEffect;
  return ClockEffect::kUnproven;
}

OptionalValue KvmGuestClock::tsc_khz(std::uint32_t vcpu) {
  if (vcpu >= vm_.vcpu_count()) return {};
  const int khz = ioctl(vm_.kvm_vcpu(vcpu).fd(), KVM_GET_TSC_KHZ, 0);
  if (khz <= 0) return {};
  return {.known = true, .value = static_cast<std::uint64_t>(khz)};
}

bool KvmGuestClock::MeasureRate(std::uint32_t vcpu, Rate* rate) {
  Reading start;
  Reading end;
  if (!Read(vcpu, &start)) return false;
  const auto until = std::chrono::steady_clock::now() + kRateSpan;
  while (std::chrono::steady_clock::now() < until) _mm_pause();
  if (!Read(vcpu, &end)) return false;
  const auto ticks = static_cast<double>(end.guest - start.guest);
  rate->low = ticks / static_cast<double>(end.last - start.first);
  rate->high = ticks / static_cast<double>(end.first - start.last);
  return true;
}

ClockEffect KvmGuestClock::set_tsc_khz(std::uint32_t vcpu, std::uint32_t khz) {
  const OptionalValue old = tsc_khz(vcpu);
  Rate before;
  if (!old.known || khz == 0) {
    Fail(khz == 0 ? EINVAL : EOPNOTSUPP);
    return ClockEffect::kRefused;
  }
  if (!MeasureRate(vcpu, &before)) return ClockEffect::kRefused;
  if (ioctl(vm_.kvm_vcpu(vcpu).fd(), KVM_SET_TSC_KHZ,
            static_cast<unsigned long>(khz)) != 0) {
    Fail(errno);
    // Some kernels go on to tell what they refused.
    ioctl(vm_.kvm_vcpu(vcpu).fd(), KVM_SET_TSC_KHZ,
          static_cast<unsigned long>(old.value));
    return ClockEffect::kRefused;
  }
  Rate after;
  if (!MeasureRate(vcpu, &after)) return ClockEffect::kUnproven;
  const double change = khz / static_cast<double>(old.value);
  const double low = after.low / before.high;
  const double high = after.high / before.low;
  const bool as_told = Within(change, low, high);
  const bool as_before = Within(1.0, low, high);
  if (as_told && !as_before) return ClockEffect::kTookEffect;
  if (as_before && !as_told) return ClockEffect::kAcceptedNoEffect;
  return ClockEffect::kUnproven;
}

}  // namespace worldswitch
