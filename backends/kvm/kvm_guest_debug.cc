#include "backends/kvm/kvm_guest_debug.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

constexpr std::byte kInt3{0xcc};

// What every KVM takes that has KVM_CAP_SET_GUEST_DEBUG at all; younger ones
// tell by KVM_CAP_SET_GUEST_DEBUG2.
constexpr std::uint32_t kAlwaysOffered =
    KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
    KVM_GUESTDBG_USE_HW_BP;

std::uint32_t Offered(const KvmVm& vm) {
  const int told = vm.CheckExtension(KVM_CAP_SET_GUEST_DEBUG2);
  return told > 0 ? static_cast<std::uint32_t>(told) : kAlwaysOffered;
}

std::uint32_t ControlOf(const DebugRequest& request) {
  std::uint32_t control = 0;
  if (request.single_step) control |= KVM_GUESTDBG_SINGLESTEP;
  if (request.software_breakpoints) control |= KVM_GUESTDBG_USE_SW_BP;
  if (request.block_interrupts) control |= KVM_GUESTDBG_BLOCKIRQ;
  if (request.hardware_count != 0) control |= KVM_GUESTDBG_USE_HW_BP;
  if (control != 0) control |= KVM_GUESTDBG_ENABLE;
  return control;
}

}  // namespace

KvmGuestDebug::KvmGuestDebug(KvmVm& vm) : vm_(vm), offered_(Offered(vm)) {}

Result KvmGuestDebug::set(std::uint32_t vcpu, const DebugRequest& request) {
  if (vcpu >= vm_.vcpu_count()) return Fail(EINVAL);
  kvm_guest_debug debug = {};
  debug.control = ControlOf(request);
  if ((debug.control & ~offered_) != 0) return Result::kUnsupported;
  if (request.hardware_count != 0) {
    const std::uint64_t dr7 = Dr7Of(request);
    if (dr7 == 0) return Fail(EINVAL);
    for (std::uint32_t i = 0; i < request.hardware_count; ++i) {
      debug.arch.debugreg[i] = request.hardware[i].address;
    }
    debug.arch.debugreg[7] = dr7;
  }
  // KVM steps from the RIP that it has.
  KvmVcpu& target = vm_.kvm_vcpu(vcpu);
  if (!target.Settle()) return Fail(target.last_error());
  if (ioctl(target.fd(), KVM_SET_GUEST_DEBUG, &debug) != 0) return Fail(errno);
  return Result::kOk;
}

Result KvmGuestDebug::insert_breakpoint(std::uint64_t gpa) {
  std::byte* const at = vm_.memory().At(gpa, 1);
  if (at == nullptr) return Fail(EFAULT);
  if (!replaced_.emplace(gpa, *at).second) return Fail(EEXIST);
  *at = kInt3;
  return Result::kOk;
}

Result KvmGuestDebug::remove_breakpoint(std::uint64_t gpa) {
  const auto found = replaced_.find(gpa);
  if (found == replaced_.end()) return Fail(ENOENT);
  *vm_.memory().At(gpa, 1) = found->second;
  replaced_.erase(found);
  return Result::kOk;
}

}  // namespace worldswitch
