// One VM of KVM: memory at guest-physical 0, and vCPUs with ids from 0.
//
// Without CreateIrqchip there is no interrupt controller in the kernel: HLT
// exits, and interrupts go in by KvmVcpu::inject_irq. A caller that knows it
// has a KvmVm gets the final vCPU type from kvm_vcpu(), and with it a loop of
// direct calls. The vendor backends stand on this class and hook in through
// KvmVmOptions.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_VM_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_VM_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/hardware_exit.h"
#include "backends/kvm/kvm_features.h"
#include "backends/kvm/kvm_irqchip.h"
#include "backends/kvm/kvm_stats.h"
#include "backends/kvm/kvm_system.h"
#include "backends/kvm/kvm_vcpu.h"
#include "core/host/backend.h"
#include "core/host/guest_memory.h"

namespace worldswitch {

class KvmVm;

struct KvmVmOptions {
  VmNeeds needs;
  MemoryBacking backing = MemoryBacking::kAnonymous;
  RegisterTransport registers = RegisterTransport::kIoctl;
  int kick_signal = 0;  // prepared by KickBlock::PrepareSignal
  // Entries of each vCPU's dirty ring, a power of two; 0: none.
  std::uint32_t dirty_ring = 0;
  // Of each vCPU's CPUID, see PadCpuid; 0: as the engine has it.
  std::uint32_t cpuid_entries = 0;
  // KVM_CAP_X86_BUS_LOCK_EXIT is turned on by a step of before_vcpus.
  bool bus_lock_exits = false;
  // False: no PMU in the vCPUs' CPUID (KVM_CAP_PMU_CAPABILITY is a step).
  bool pmu = true;
  // How the vendor's backend puts exits of the hardware into words.
  DescribeHardwareExit describe_hardware_exit = nullptr;
  // Called in this order, each if set, in the order added; the first error ends
  // the making of the VM. before_vcpus: the place for KVM_ENABLE_CAP.
  std::vector<std::function<absl::Status(KvmVm&)>> before_vcpus;
  // After all vCPUs are made and have their CPUID.
  std::vector<std::function<absl::Status(KvmVm&)>> after_vcpus;
};

class KvmVm final : public Vm {
 public:
  // Main memory has to end below this: KVM's own pages for a real-mode guest
  // (identity map, task state segment) begin here.
  static constexpr std::uint64_t kReservedGpa = 0xFFFBC000;

  // Either a whole VM or nothing: what was made of one that fails is undone.
  static absl::StatusOr<std::unique_ptr<KvmVm>> Create(
      std::shared_ptr<const KvmSystem> system, const KvmVmOptions& options);

  // VmOps.
  MemoryView memory() override;
  std::uint32_t vcpu_count() const override;
  VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  bool has(Capability capability) const override;
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override;
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override;
  void* feature(FeatureId id) override { return features_.Get(id); }
  std::string Explain(const Exit& exit) const override {
    return ExplainKvmExit(exit, describe_hardware_exit_);
  }

  KvmVcpu& kvm_vcpu(std::uint32_t index) { return *vcpus_[index]; }
  const KvmSystem& system() const { return *system_; }
  int fd() const { return fd_.get(); }
  // KVM_CHECK_EXTENSION of this VM, which may know better than the system.
  int CheckExtension(std::uint32_t capability) const;

  std::uint32_t dirty_ring_entries() const { return dirty_ring_entries_; }

  // KVM_SET_USER_MEMORY_REGION. Slot 0 is the main memory. gpa, bytes and host
  // page-aligned; flags: KVM_MEM_*. The memory must outlive the slot; bytes 0
  // takes the slot away. Runs beside running vCPUs.
  absl::Status SetMemorySlot(std::uint32_t slot, std::uint32_t flags,
                             std::uint64_t gpa, std::uint64_t bytes,
                             void* host);
  absl::Status RemoveMemorySlot(std::uint32_t slot);
  // KVM_ENABLE_CAP on the VM. name: for the error, "KVM_CAP_X86_DISABLE_EXITS".
  absl::Status EnableCapability(std::uint32_t capability,
                                absl::string_view name,
                                const std::array<std::uint64_t, 4>& arguments);
  // Interrupt controllers in the kernel, once, before the vCPUs: for a step of
  // before_vcpus. with_pit: kFull only. From then on HLT waits in the kernel
  // for an interrupt, and inject_irq is not supported.
  absl::Status CreateIrqchip(IrqchipKind kind, bool with_pit);
  // The rate of every vCPU's TSC, for a step of after_vcpus: khz is proven on
  // vCPU 0 by what the guest reads (some 20 ms), and asked back of the others.
  // An error too where the engine says yes and the guest's TSC goes on as
  // before, or where the change is too small to be told (a few percent).
  absl::Status SetTscKhz(std::uint32_t khz);
  // Null without one.
  KvmIrqchip* irqchip() { return irqchip_.get(); }
  // Everything the engine counts for one vCPU; empty where it counts nothing.
  std::vector<KvmStats::Value> AllCounters(std::uint32_t vcpu_index) const;

 private:
  KvmVm(std::shared_ptr<const KvmSystem> system, FileDescriptor fd,
        GuestMemory memory);
  absl::Status PlaceReservedPages();
  absl::Status EnableDirtyRing(std::uint32_t entries);
  absl::Status AddVcpus(const KvmVmOptions& options);

  const std::shared_ptr<const KvmSystem> system_;
  // In this order: the vCPUs go first, then the VM, then its memory.
  GuestMemory memory_;
  FileDescriptor fd_;
  std::vector<std::unique_ptr<KvmVcpu>> vcpus_;
  std::vector<KvmStats> stats_;  // one per vCPU, or none
  bool shared_time_stamp_ = false;
  std::uint32_t dirty_ring_entries_ = 0;
  std::unique_ptr<KvmIrqchip> irqchip_;
  DescribeHardwareExit describe_hardware_exit_ = nullptr;
  KvmFeatures features_{*this};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_VM_H_
