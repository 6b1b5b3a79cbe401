#include "backends/kvm/kvm_vm.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/kvm/kvm_cpuid.h"
#include "backends/kvm/kvm_status.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kMainMemorySlot = 0;
constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

KvmVm::KvmVm(std::shared_ptr<const KvmSystem> system, FileDescriptor fd,
             GuestMemory memory)
    : system_(std::move(system)),
      memory_(std::move(memory)),
      fd_(std::move(fd)) {}

absl::StatusOr<std::unique_ptr<KvmVm>> KvmVm::Create(
    std::shared_ptr<const KvmSystem> system, const KvmVmOptions& options) {
  const VmNeeds& needs = options.needs;
  const auto vcpus_max =
      static_cast<std::uint32_t>(system->Capability(KVM_CAP_MAX_VCPUS));
  if (needs.vcpus == 0 || (vcpus_max != 0 && needs.vcpus > vcpus_max)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a VM of ", needs.vcpus, " vCPUs: the engine takes 1 to ", vcpus_max));
  }
  if (needs.memory_bytes > kReservedGpa) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a VM with %u bytes of memory: at most %u, since KVM "
                        "keeps pages of its "
                        "own from guest-physical %#x on",
                        needs.memory_bytes, kReservedGpa, kReservedGpa));
  }
  absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(needs.memory_bytes, options.backing);
  if (!memory.ok()) return memory.status();
  absl::StatusOr<FileDescriptor> fd = system->CreateVm();
  if (!fd.ok()) return fd.status();
  std::unique_ptr<KvmVm> vm(
      new KvmVm(std::move(system), *std::move(fd), *std::move(memory)));
  vm->describe_hardware_exit_ = options.describe_hardware_exit;

  absl::Status status = vm->SetMemorySlot(
      kMainMemorySlot, 0, 0, vm->memory_.size(), vm->memory_.data());
  if (status.ok()) status = vm->PlaceReservedPages();
  if (status.ok()) status = vm->EnableDirtyRing(options.dirty_ring);
  for (const auto& step : options.before_vcpus) {
    if (status.ok() && step) status = step(*vm);
  }
  if (status.ok()) status = vm->AddVcpus(options);
  for (const auto& step : options.after_vcpus) {
    if (status.ok() && step) status = step(*vm);
  }
  if (!status.ok()) return status;
  return vm;
}

absl::Status KvmVm::PlaceReservedPages() {
  // VT-x without "unrestricted guest" runs real mode through these.
  if (system_->Capability(KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0) {
    std::uint64_t identity_map = kReservedGpa;
    if (ioctl(fd(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map) != 0) {
      return KvmStatus(errno, "KVM_SET_IDENTITY_MAP_ADDR");
    }
  }
  if (system_->Capability(KVM_CAP_SET_TSS_ADDR) > 0 &&
      ioctl(fd(), KVM_SET_TSS_ADDR,
            static_cast<unsigned long>(kReservedGpa + kPageBytes)) != 0) {
    return KvmStatus(errno, "KVM_SET_TSS_ADDR");
  }
  return absl::OkStatus();
}

absl::Status KvmVm::EnableDirtyRing(std::uint32_t entries) {
  if (entries == 0) return absl::OkStatus();
  absl::Status status =
      EnableCapability(KVM_CAP_DIRTY_LOG_RING, "KVM_CAP_DIRTY_LOG_RING",
                       {entries * std::uint64_t{sizeof(kvm_dirty_gfn)}});
  if (status.ok()) dirty_ring_entries_ = entries;
  return status;
}

absl::Status KvmVm::AddVcpus(const KvmVmOptions& options) {
  const std::uint32_t count = options.needs.vcpus;
  const bool counts = system_->Capability(KVM_CAP_BINARY_STATS_FD) > 0;
  const bool deadline = irqchip_ != nullptr &&
                        system_->Capability(KVM_CAP_TSC_DEADLINE_TIMER) > 0;
  vcpus_.reserve(count);
  shared_time_stamp_ = true;
  for (std::uint32_t id = 0; id < count; ++id) {
    absl::StatusOr<std::unique_ptr<KvmVcpu>> vcpu =
        KvmVcpu::Create(fd(), id,
                        {.page_bytes = system_->page_bytes(),
                         .registers = options.registers,
                         .kick_signal = options.kick_signal,
                         .kernel_irqchip = irqchip_ != nullptr,
                         .bus_lock_exits = options.bus_lock_exits});
    if (!vcpu.ok()) return vcpu.status();
    vcpus_.push_back(*std::move(vcpu));
    KvmVcpu& made = *vcpus_.back();
    std::vector<kvm_cpuid_entry2> cpuid =
        CpuidForVcpu(system_->supported_cpuid(), id, deadline);
    if (!options.pmu) cpuid = CpuidWithoutPmu(std::move(cpuid));
    absl::Status status =
        made.SetCpuid(PadCpuid(std::move(cpuid), options.cpuid_entries));
    if (!status.ok()) return status;
    shared_time_stamp_ = made.SetTscOffset(0) && shared_time_stamp_;
    if (counts) {
      absl::StatusOr<KvmStats> stats =
          KvmStats::Open(made.fd(), absl::StrCat("vCPU ", id));
      if (!stats.ok()) return stats.status();
      stats_.push_back(*std::move(stats));
    }
  }
  return absl::OkStatus();
}

MemoryView KvmVm::memory() { return {memory_.data(), 0, memory_.size()}; }

std::uint32_t KvmVm::vcpu_count() const {
  return static_cast<std::uint32_t>(vcpus_.size());
}

bool KvmVm::has(Capability capability) const {
  switch (capability) {
    case Capability::kIrqInjection:
    case Capability::kIrqWindow:
      return irqchip_ == nullptr;
    case Capability::kExceptionInjection:  // KVM_CAP_VCPU_EVENTS is required
    case Capability::kConcurrentVcpus:
      return true;
    case Capability::kNmiInjection:
      return system_->Capability(KVM_CAP_USER_NMI) > 0;
    case Capability::kCounters:
      return !stats_.empty() && stats_.front().Read(Counter::kExits).known;
    case Capability::kDiscardMemory:
      return system_->Capability(KVM_CAP_SYNC_MMU) > 0;
    case Capability::kSharedTimeStamp:
      return shared_time_stamp_;
    case Capability::kCount:
      break;
  }
  return false;
}

OptionalValue KvmVm::counter(Counter counter, std::uint32_t vcpu_index) {
  if (vcpu_index >= stats_.size()) return {};
  return stats_[vcpu_index].Read(counter);
}

std::vector<KvmStats::Value> KvmVm::AllCounters(
    std::uint32_t vcpu_index) const {
  if (vcpu_index >= stats_.size()) return {};
  return stats_[vcpu_index].ReadAll();
}

Result KvmVm::discard_memory(std::uint64_t gpa, std::uint64_t length) {
  if (!has(Capability::kDiscardMemory)) return Result::kUnsupported;
  return memory_.Discard(gpa, length).ok() ? Result::kOk : Result::kError;
}

// NOLINTNEXTLINE(readability-make-member-function-const): changes the VM
absl::Status KvmVm::SetMemorySlot(std::uint32_t slot, std::uint32_t flags,
                                  std::uint64_t gpa, std::uint64_t bytes,
                                  void* host) {
  kvm_userspace_memory_region region = {};
  region.slot = slot;
  region.flags = flags;
  region.guest_phys_addr = gpa;
  region.memory_size = bytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(host);
  if (ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region) == 0) {
    return absl::OkStatus();
  }
  return KvmStatus(
      errno, absl::StrFormat("KVM_SET_USER_MEMORY_REGION of slot %u: %u bytes "
                             "at guest-physical %#x, flags %#x",
                             slot, bytes, gpa, flags));
}

absl::Status KvmVm::RemoveMemorySlot(std::uint32_t slot) {
  return SetMemorySlot(slot, 0, 0, 0, nullptr);
}

int KvmVm::CheckExtension(std::uint32_t capability) const {
  return std::max(0, ioctl(fd(), KVM_CHECK_EXTENSION,
                           static_cast<unsigned long>(capability)));
}

absl::Status KvmVm::CreateIrqchip(IrqchipKind kind, bool with_pit) {
  if (kind == IrqchipKind::kSplit) {
    constexpr std::uint64_t kIoapicPins = 24;  // of the caller's IOAPIC
    absl::Status status = EnableCapability(
        KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP", {kIoapicPins});
    if (!status.ok()) return status;
  } else if (ioctl(fd(), KVM_CREATE_IRQCHIP, nullptr) != 0) {
    return KvmStatus(errno, "KVM_CREATE_IRQCHIP");
  }
  if (with_pit) {
    kvm_pit_config config = {};
    if (ioctl(fd(), KVM_CREATE_PIT2, &config) != 0) {
      return KvmStatus(errno, "KVM_CREATE_PIT2");
    }
  }
  irqchip_ = std::make_unique<KvmIrqchip>(*this, kind, with_pit);
  return absl::OkStatus();
}

// NOLINTNEXTLINE(readability-make-member-function-const): changes the VM
absl::Status KvmVm::EnableCapability(
    std::uint32_t capability, absl::string_view name,
    const std::array<std::uint64_t, 4>& arguments) {
  kvm_enable_cap request = {};
  request.cap = capability;
  std::copy(arguments.begin(), arguments.end(), request.args);
  if (ioctl(fd(), KVM_ENABLE_CAP, &request) == 0) return absl::OkStatus();
  return KvmStatus(errno, absl::StrCat("KVM_ENABLE_CAP of ", name));
}

}  // namespace worldswitch
