#include "backends/vmx_intel/native/vmx_kick.h"

#include <new>

#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch {

VmxKick* VmxKick::Create(const HostServices& host, VmxVcpu* vcpu) {
  void* page = host.allocate_pages(host.context, 1, kPageBytes);
  return page == nullptr ? nullptr : new (page) VmxKick(host, vcpu);
}

void VmxKick::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const HostServices& host = host_;
  host.free_pages(host.context, this, 1);
}

void VmxKick::Kick() {
  VmxVcpu* const vcpu = vcpu_.load(std::memory_order_acquire);
  if (vcpu != nullptr) vcpu->RequestKick();
}

void VmxKick::Detach() {
  vcpu_.store(nullptr, std::memory_order_release);
  Unref();
}

}  // namespace worldswitch
