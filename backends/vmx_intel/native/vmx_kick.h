// What stands behind a vCPU's kick handles: a counted target that outlives the
// vCPU. On one CPU a kick comes from that CPU, out of an interrupt's handler or
// between two runs, so it sets a flag and nothing else; the interrupt itself
// has made the guest exit.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_KICK_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_KICK_H_

#include <atomic>
#include <cstdint>

#include "backends/native/host_services.h"
#include "core/kick.h"

namespace worldswitch {

class VmxVcpu;

class VmxKick final : public KickTarget {
 public:
  // On a page of its own, with one reference, which is the vCPU's. Null: the
  // host has none left.
  static VmxKick* Create(const HostServices& host, VmxVcpu* vcpu);

  void Ref() override { references_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() override;
  void Kick() override;
  // The vCPU goes: no kick reaches it any more. Gives up its reference.
  void Detach();

 private:
  VmxKick(const HostServices& host, VmxVcpu* vcpu) : host_(host), vcpu_(vcpu) {}

  const HostServices& host_;
  std::atomic<VmxVcpu*> vcpu_;
  std::atomic<std::uint32_t> references_ = 1;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_KICK_H_
