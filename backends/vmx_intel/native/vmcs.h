// One VMCS: its region, whether it was launched, and its fields by VMREAD and
// VMWRITE, which are counted.
//
// Fields are read and written while the VMCS is current; who makes it so is the
// vCPU (vmx_vcpu.h). One CPU. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_H_

#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/vmx_intel/native/vmcs_field.h"
#include "backends/vmx_intel/native/vmx_instruction.h"

namespace worldswitch {

class Vmcs {
 public:
  // A write that the processor refused.
  struct RefusedWrite {
    VmxStatus status = VmxStatus::kSucceeded;
    VmcsField field = {};
  };

  Vmcs() = default;
  Vmcs(const Vmcs&) = delete;
  Vmcs& operator=(const Vmcs&) = delete;

  // Allocates the region and clears it. revision: bits 30:0 of IA32_VMX_BASIC.
  // False: no page, or VMCLEAR failed.
  bool Create(const HostServices& host, std::uint32_t revision) {
    region_ = HostPages(host, 1);
    if (!region_) return false;
    *region_.as<std::uint32_t>() = revision;
    return Clear() == VmxStatus::kSucceeded;
  }
  bool exists() const { return static_cast<bool>(region_); }

  // Makes it current.
  VmxStatus Load() const { return vmx::Vmptrld(region_.physical()); }
  // Its launch state is "clear" afterwards, all its data is in memory, and if
  // it was current, none is.
  VmxStatus Clear() const { return vmx::Vmclear(region_.physical()); }

  // For a field that the CPU has.
  std::uint64_t Read(VmcsField field);
  // Remembers the first write that was refused.
  void Write(VmcsField field, std::uint64_t value);
  // For any field.
  VmxStatus TryRead(VmcsField field, std::uint64_t* value);
  VmxStatus TryWrite(VmcsField field, std::uint64_t value);

  // For the few on the way between two entries, which the vCPU counts by its
  // exits; of fields that every CPU has.
  static std::uint64_t ReadUncounted(VmcsField field) {
    std::uint64_t value = 0;
    asm volatile("vmread %1, %0"
                 : "=r"(value)
                 : "r"(static_cast<std::uint64_t>(field))
                 : "cc");
    return value;
  }
  static void WriteUncounted(VmcsField field, std::uint64_t value) {
    asm volatile("vmwrite %1, %0"
                 :
                 : "r"(static_cast<std::uint64_t>(field)), "r"(value)
                 : "cc", "memory");
  }

  // One that ReadUncounted made, beside those that the exits tell of.
  void CountRead() { ++reads_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t writes() const { return writes_; }
  const RefusedWrite& refused() const { return refused_; }

 private:
  HostPages region_;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  RefusedWrite refused_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_H_
