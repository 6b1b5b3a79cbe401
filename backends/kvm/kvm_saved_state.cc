// A whole VM as a row of records: a header, then kind, vCPU, length and bytes
// of each, in the order in which they are restored.

#include <cerrno>
#include <cstring>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_state.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

// Kinds of records beside the parts of vCPUs, which have their own numbers.
constexpr std::uint32_t kMemoryKind = 0x100;
constexpr std::uint32_t kIrqchipKind = 0x200;  // + KVM_IRQCHIP_*
constexpr std::uint32_t kPitKind = 0x300;
constexpr std::uint32_t kClockKind = 0x400;
constexpr std::uint32_t kIrqchips = 3;  // two PICs, the IOAPIC

struct SavedHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t vcpus;
  std::uint64_t memory_bytes;
};
constexpr std::uint64_t kMagic = 0x6574617453535757;  // "WWSState"
constexpr std::uint32_t kVersion = 1;

std::size_t RoundUp8(std::size_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

struct KvmState::Record {
  std::uint32_t kind;
  std::uint32_t vcpu;
  std::uint64_t bytes;
};

bool KvmState::HasIrqchips() {
  kvm_irqchip chip = {};
  return Call(vm_.fd(), KVM_GET_IRQCHIP, &chip) == Result::kOk;
}

bool KvmState::HasPit() {
  kvm_pit_state2 pit = {};
  return Call(vm_.fd(), KVM_GET_PIT2, &pit) == Result::kOk;
}

std::vector<KvmState::Record> KvmState::Records() {
  std::vector<Record> records;
  records.push_back({kMemoryKind, 0, vm_.memory().size});
  for (std::uint32_t vcpu = 0; vcpu < vm_.vcpu_count(); ++vcpu) {
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(StatePart::kCount);
         ++i) {
      const std::size_t bytes = part_size(vcpu, static_cast<StatePart>(i));
      if (bytes != 0) records.push_back({i, vcpu, bytes});
    }
  }
  const int error_before = last_error_;
  if (HasIrqchips()) {
    for (std::uint32_t chip = 0; chip < kIrqchips; ++chip) {
      records.push_back({kIrqchipKind + chip, 0, sizeof(kvm_irqchip)});
    }
  }
  if (HasPit()) records.push_back({kPitKind, 0, sizeof(kvm_pit_state2)});
  last_error_ = error_before;  // not having them is no error
  if (vm_.CheckExtension(KVM_CAP_ADJUST_CLOCK) != 0) {
    // Last, so that the guest's clock stands still while all else is done.
    records.push_back({kClockKind, 0, sizeof(kvm_clock_data)});
  }
  return records;
}

std::size_t KvmState::saved_size() {
  std::size_t bytes = sizeof(SavedHeader);
  for (const Record& record : Records()) {
    bytes += sizeof(Record) + RoundUp8(record.bytes);
  }
  return bytes;
}

Result KvmState::ReadRecord(const Record& record, std::byte* to) {
  if (record.kind < static_cast<std::uint32_t>(StatePart::kCount)) {
    return get_part(record.vcpu, static_cast<StatePart>(record.kind), to,
                    record.bytes);
  }
  if (record.kind == kMemoryKind) {
    std::memcpy(to, vm_.memory().host, record.bytes);
    return Result::kOk;
  }
  if (record.kind == kPitKind) {
    kvm_pit_state2 pit = {};
    const Result result = Call(vm_.fd(), KVM_GET_PIT2, &pit);
    std::memcpy(to, &pit, sizeof(pit));
    return result;
  }
  if (record.kind == kClockKind) {
    kvm_clock_data clock = {};
    const Result result = Call(vm_.fd(), KVM_GET_CLOCK, &clock);
    // Where the host stood then is of no use elsewhere.
    kvm_clock_data kept = {};
    kept.clock = clock.clock;
    std::memcpy(to, &kept, sizeof(kept));
    return result;
  }
  kvm_irqchip chip = {};
  chip.chip_id = record.kind - kIrqchipKind;
  const Result result = Call(vm_.fd(), KVM_GET_IRQCHIP, &chip);
  std::memcpy(to, &chip, sizeof(chip));
  return result;
}

Result KvmState::WriteRecord(const Record& record, const std::byte* from) {
  if (record.kind < static_cast<std::uint32_t>(StatePart::kCount)) {
    return set_part(record.vcpu, static_cast<StatePart>(record.kind), from,
                    record.bytes);
  }
  if (record.kind == kMemoryKind) {
    std::memcpy(vm_.memory().host, from, record.bytes);
    return Result::kOk;
  }
  if (record.kind == kPitKind) {
    kvm_pit_state2 pit;
    std::memcpy(&pit, from, sizeof(pit));
    return Call(vm_.fd(), KVM_SET_PIT2, &pit);
  }
  if (record.kind == kClockKind) {
    kvm_clock_data clock;
    std::memcpy(&clock, from, sizeof(clock));
    return Call(vm_.fd(), KVM_SET_CLOCK, &clock);
  }
  kvm_irqchip chip;
  std::memcpy(&chip, from, sizeof(chip));
  return Call(vm_.fd(), KVM_SET_IRQCHIP, &chip);
}

Result KvmState::save(void* to, std::size_t size) {
  // Completing an exit may write to memory, so that comes first.
  for (std::uint32_t vcpu = 0; vcpu < vm_.vcpu_count(); ++vcpu) {
    KvmVcpu& of = vm_.kvm_vcpu(vcpu);
    if (!of.Settle()) return Fail(of.last_error());
  }
  const std::vector<Record> records = Records();
  std::size_t bytes = sizeof(SavedHeader);
  for (const Record& record : records) {
    bytes += sizeof(Record) + RoundUp8(record.bytes);
  }
  if (size < bytes) return Fail(EINVAL);
  const SavedHeader header = {.magic = kMagic,
                              .version = kVersion,
                              .vcpus = vm_.vcpu_count(),
                              .memory_bytes = vm_.memory().size};
  auto* at = static_cast<std::byte*>(to);
  std::memset(at, 0, bytes);
  std::memcpy(at, &header, sizeof(header));
  at += sizeof(header);
  for (const Record& record : records) {
    std::memcpy(at, &record, sizeof(record));
    at += sizeof(record);
    if (const Result result = ReadRecord(record, at); result != Result::kOk) {
      return result;
    }
    at += RoundUp8(record.bytes);
  }
  return Result::kOk;
}

Result KvmState::restore(const void* from, std::size_t size) {
  const auto* at = static_cast<const std::byte*>(from);
  SavedHeader header;
  if (size < sizeof(header)) return Fail(EINVAL);
  std::memcpy(&header, at, sizeof(header));
  if (header.magic != kMagic || header.version != kVersion ||
      header.vcpus != vm_.vcpu_count() ||
      header.memory_bytes != vm_.memory().size) {
    return Fail(EINVAL);
  }
  // The same records in the same order, or it is not of such a VM.
  const std::vector<Record> records = Records();
  std::size_t offset = sizeof(header);
  for (const Record& record : records) {
    if (size - offset < sizeof(record) ||
        std::memcmp(at + offset, &record, sizeof(record)) != 0) {
      return Fail(EINVAL);
    }
    offset += sizeof(record);
    if (size - offset < RoundUp8(record.bytes)) return Fail(EINVAL);
    offset += RoundUp8(record.bytes);
  }
  for (std::uint32_t vcpu = 0; vcpu < vm_.vcpu_count(); ++vcpu) {
    KvmVcpu& of = vm_.kvm_vcpu(vcpu);
    if (!of.Settle()) return Fail(of.last_error());
  }
  offset = sizeof(header);
  for (const Record& record : records) {
    offset += sizeof(record);
    if (const Result result = WriteRecord(record, at + offset);
        result != Result::kOk) {
      return result;
    }
    offset += RoundUp8(record.bytes);
  }
  return Result::kOk;
}

}  // namespace worldswitch
