// core/features/processor_controls.h on VMX.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_PROCESSOR_CONTROLS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_PROCESSOR_CONTROLS_H_

#include <cstdint>

#include "backends/vmx_intel/native/vmx_vcpu.h"
#include "core/features/processor_controls.h"

namespace worldswitch {

class VmxProcessorControls final : public ProcessorControls {
 public:
  // msr_bitmap: the page, or null where every MSR exits. vcpus: vcpu_count of
  // them.
  VmxProcessorControls(VmxShared& shared, VmxVcpu* vcpus,
                       std::uint32_t vcpu_count, std::byte* msr_bitmap)
      : shared_(shared),
        vcpus_(vcpus),
        vcpu_count_(vcpu_count),
        msr_bitmap_(msr_bitmap) {}

  Result set_intercept(Intercept what, bool on) override;
  Result set_msr_intercept(std::uint32_t msr, bool reads, bool writes) override;
  Result set_exception_intercept(std::uint8_t vector, bool on) override;
  Result arm_preemption_timer(std::uint32_t vcpu, std::uint64_t ticks) override;
  Result set_run_limit(std::uint32_t vcpu, std::uint64_t ticks) override;
  Result map_alias(std::uint64_t gpa, NestedPageSize size,
                   std::uint64_t* alias) override;
  Result set_nested_page(std::uint64_t gpa, NestedPageState state) override;
  OptionalValue vmreads(std::uint32_t vcpu) override;
  OptionalValue vmwrites(std::uint32_t vcpu) override;

 private:
  Result SetControl(VmxControlWord word, std::uint32_t bits, bool on);
  Result SetExitingBits(std::uint64_t* bits, bool on);

  VmxShared& shared_;
  VmxVcpu* const vcpus_;
  const std::uint32_t vcpu_count_;
  std::byte* const msr_bitmap_;
  std::uint64_t cr0_exiting_ = 0;
  std::uint64_t cr4_exiting_ = 0;
};

// The MSR bitmap (SDM 3C, "MSR-Bitmap Address"), one page.
// False: no bit stands for that MSR.
bool SetMsrBits(std::byte* bitmap, std::uint32_t msr, bool reads, bool writes);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_PROCESSOR_CONTROLS_H_
