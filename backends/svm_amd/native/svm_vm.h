// A VM in ring 0: memory behind nested paging, vCPUs, and what only ring 0 can
// turn (core/features/processor_controls.h).
//
// One processor, one thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VM_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VM_H_

#include <cstdint>

#include "backends/native/native_backend.h"
#include "backends/svm_amd/native/svm_vcpu.h"
#include "core/features/processor_controls.h"

namespace worldswitch::svm {

class SvmVm final : public NativeVm, public ProcessorControls {
 public:
  static constexpr std::uint32_t kMaxVcpus = 8;

  // Null: *why.
  static SvmVm* Make(const HostServices& host, SvmCpu& cpu,
                     const SvmFeatures& features, const SvmLimits& limits,
                     const VmNeeds& needs, const NativeKnobValues& knobs,
                     const char** why);
  static void Destroy(SvmVm* vm);

  SvmVcpu& svm_vcpu(std::uint32_t index) { return *vcpus_[index]; }
  const SvmLimits& limits() const { return limits_; }
  void SetEnabled(bool enabled);
  SvmVm* next = nullptr;  // the backend's list

  // VmOps:
  MemoryView memory() override { return memory_.view(); }
  std::uint32_t vcpu_count() const override { return vcpu_count_; }
  VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  bool has(Capability capability) const override;
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override;
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override;
  void* feature(FeatureId id) override;

  // NativeVm:
  void DumpState(std::uint32_t vcpu_index, const HostServices& host) override;

  // ProcessorControls:
  Result set_intercept(Intercept what, bool on) override;
  Result set_msr_intercept(std::uint32_t msr, bool reads, bool writes) override;
  Result set_exception_intercept(std::uint8_t vector, bool on) override;
  Result arm_preemption_timer(std::uint32_t vcpu, std::uint64_t ticks) override;
  Result set_run_limit(std::uint32_t vcpu, std::uint64_t ticks) override;
  Result map_alias(std::uint64_t gpa, NestedPageSize size,
                   std::uint64_t* alias) override;
  Result set_nested_page(std::uint64_t gpa, NestedPageState state) override;
  OptionalValue vmreads(std::uint32_t /*vcpu*/) override { return {}; }
  OptionalValue vmwrites(std::uint32_t /*vcpu*/) override { return {}; }

 private:
  SvmVm(const HostServices& host, SvmCpu& cpu, const SvmFeatures& features,
        const SvmLimits& limits, const VmNeeds& needs,
        const NativeKnobValues& knobs);
  ~SvmVm();
  bool ok() const { return memory_.ok() && msrs_.ok() && iopm_; }
  bool AddVcpu();
  void FlushAll();

  const HostServices& host_;
  const NativeKnobValues knobs_;
  const SvmLimits& limits_;
  SvmMemory memory_;
  SvmMsrs msrs_;
  HostPages iopm_;
  SvmVmParts parts_;
  std::uint32_t vcpu_count_ = 0;
  SvmVcpu* vcpus_[kMaxVcpus] = {};
  HostPages vcpu_pages_[kMaxVcpus];
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_VM_H_
