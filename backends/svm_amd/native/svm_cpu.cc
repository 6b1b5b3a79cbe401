#include "backends/svm_amd/native/svm_cpu.h"

#include "backends/svm_amd/native/svm_instructions.h"
#include "backends/svm_amd/native/vmcb.h"
#include "backends/svm_amd/svm_capability.h"

namespace worldswitch::svm {
namespace {

constexpr std::size_t kPages = 2;

}  // namespace

bool SvmCpu::svme() const { return (ReadMsr(kMsrEfer) & kEferSvme) != 0; }

bool SvmCpu::Enable(const HostServices& host, const char** why) {
  if (enabled_) return true;
  if (SvmVmCr::kDisabled.IsSet(ReadMsr(kVmCrMsr))) {
    *why = SvmVmCr::kLock.IsSet(ReadMsr(kVmCrMsr))
               ? "the firmware has disabled SVM and locked it (VM_CR.SVMDIS, "
                 "VM_CR.LOCK): turn it on in the firmware's setup"
               : "SVM is disabled (VM_CR.SVMDIS)";
    return false;
  }
  const std::uint64_t efer = ReadMsr(kMsrEfer);
  if ((efer & kEferSvme) != 0) {
    *why = "somebody else uses SVM on this processor (EFER.SVME is set)";
    return false;
  }
  void* const pages = host.allocate_pages(host.context, kPages, kPageBytes);
  if (pages == nullptr) {
    *why = "the host has no pages for VM_HSAVE_PA";
    return false;
  }
  host_ = &host;
  pages_ = pages;
  const std::uint64_t pages_pa = host.physical_address(host.context, pages);
  host_state_pa_ = pages_pa + kPageBytes;
  efer_before_ = efer;
  WriteMsr(kMsrEfer, efer | kEferSvme);
  hsave_before_ = ReadMsr(kMsrVmHsavePa);
  WriteMsr(kMsrVmHsavePa, pages_pa);
  enabled_ = true;
  return true;
}

void SvmCpu::Disable() {
  if (!enabled_) return;
  if (loaded_ != nullptr) Put(*loaded_);
  WriteMsr(kMsrVmHsavePa, hsave_before_);
  WriteMsr(kMsrEfer, efer_before_);
  enabled_ = false;
  host_->free_pages(host_->context, pages_, kPages);
  pages_ = nullptr;
}

void SvmCpu::Load(SvmGuestState& guest) {
  if (loaded_ == nullptr) {
    Vmsave(host_state_pa_);
  } else if (loaded_ != &guest) {
    Vmsave(loaded_->state_pa());
    loaded_->StateLeft();
  }
  loaded_ = &guest;
  Vmload(guest.state_pa());
}

void SvmCpu::Save(SvmGuestState& guest) const {
  if (holds(guest)) Vmsave(guest.state_pa());
}

void SvmCpu::Put(SvmGuestState& guest) {
  if (!holds(guest)) return;
  Vmsave(guest.state_pa());
  Vmload(host_state_pa_);
  loaded_ = nullptr;
  guest.StateLeft();
}

}  // namespace worldswitch::svm
