#include "backends/kvm/kvm_features.h"

#include "backends/kvm/kvm_dirty_log.h"
#include "backends/kvm/kvm_guest_clock.h"
#include "backends/kvm/kvm_guest_debug.h"
#include "backends/kvm/kvm_io_events.h"
#include "backends/kvm/kvm_irqchip.h"
#include "backends/kvm/kvm_memory_slots.h"
#include "backends/kvm/kvm_msr_exits.h"
#include "backends/kvm/kvm_state.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

// `made`, which is there from now on, as a pointer to its interface F.
template <typename F, typename Made>
void* MadeOnce(std::unique_ptr<Made>& made, KvmVm& vm) {
  if (made == nullptr) made = std::make_unique<Made>(vm);
  return static_cast<F*>(made.get());
}

}  // namespace

KvmFeatures::KvmFeatures(KvmVm& vm) : vm_(vm) {}
KvmFeatures::~KvmFeatures() = default;

// Each interface is handed out as a pointer to its own type: FeatureOf casts it
// back to that.
void* KvmFeatures::Get(FeatureId id) {
  switch (id) {
    case FeatureId::kDirtyLog:
      return MadeOnce<DirtyLog>(dirty_log_, vm_);
    case FeatureId::kGuestClock:
      return MadeOnce<GuestClock>(guest_clock_, vm_);
    case FeatureId::kMemorySlots:
      return MadeOnce<MemorySlots>(memory_slots_, vm_);
    case FeatureId::kVcpuState:
      return MadeOnce<VcpuStateAccess>(state_, vm_);
    case FeatureId::kIrqchip:
      return static_cast<Irqchip*>(vm_.irqchip());
    case FeatureId::kIoEvents:
      if (vm_.system().Capability(KVM_CAP_IOEVENTFD) <= 0 &&
          vm_.system().Capability(KVM_CAP_COALESCED_MMIO) <= 0) {
        return nullptr;
      }
      return MadeOnce<IoEvents>(io_events_, vm_);
    case FeatureId::kMsrExits:
      if (vm_.system().Capability(KVM_CAP_X86_USER_SPACE_MSR) <= 0 &&
          vm_.system().Capability(KVM_CAP_X86_MSR_FILTER) <= 0) {
        return nullptr;
      }
      return MadeOnce<MsrExits>(msr_exits_, vm_);
    case FeatureId::kGuestDebug:
      if (vm_.system().Capability(KVM_CAP_SET_GUEST_DEBUG) <= 0) return nullptr;
      return MadeOnce<GuestDebug>(guest_debug_, vm_);
    case FeatureId::kProcessorControls:  // KVM keeps them to itself
      return nullptr;
  }
  return nullptr;
}

}  // namespace worldswitch
