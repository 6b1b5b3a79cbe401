// One VM on VMX: its memory, its vCPUs, its bitmaps, and what the knobs made of
// its controls. Lies on pages of the host's; see Create.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VM_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VM_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/native_backend.h"
#include "backends/vmx_intel/native/vmx_memory.h"
#include "backends/vmx_intel/native/vmx_processor_controls.h"
#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch {

class VmxVm final : public NativeVm {
 public:
  static constexpr std::uint32_t kMaxVcpus = 16;

  // Null: *why, and nothing is left behind. All of the arguments but needs and
  // knobs outlive the VM.
  static VmxVm* Create(VmxCpu& cpu, const HostServices& host,
                       const VmxCapabilities& capabilities,
                       const VmNeeds& needs, const NativeKnobValues& knobs,
                       const char** why);
  static void Destroy(VmxVm* vm);

  MemoryView memory() override { return memory_.view(); }
  std::uint32_t vcpu_count() const override { return vcpu_count_; }
  VcpuOps& vcpu(std::uint32_t index) override { return vcpus_[index]; }
  bool has(Capability capability) const override;
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override;
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override;
  void* feature(FeatureId id) override;
  void DumpState(std::uint32_t vcpu_index, const HostServices& host) override;

  // The vCPU as what it is: for the loop's instance without virtual calls, and
  // for the checks.
  VmxVcpu& vmx_vcpu(std::uint32_t index) { return vcpus_[index]; }
  const VmxCapabilities& capabilities() const { return shared_.capabilities; }

 private:
  VmxVm(VmxCpu& cpu, const HostServices& host,
        const VmxCapabilities& capabilities, const NativeKnobValues& knobs);
  ~VmxVm();
  bool Build(const VmNeeds& needs, const NativeKnobValues& knobs,
             const char** why);

  const HostServices& host_;
  VmxMemory memory_;
  HostPages bitmaps_;  // I/O A and B, MSR
  VmxShared shared_;
  VmxVcpu* vcpus_ = nullptr;
  std::size_t vcpu_pages_ = 0;
  std::uint32_t vcpu_count_ = 0;
  VmxProcessorControls* controls_ = nullptr;
  alignas(VmxProcessorControls) std::byte
      controls_storage_[sizeof(VmxProcessorControls)];
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VM_H_
