#include "backends/kvm/kvm_features.h"

#include "backends/kvm/kvm_io_events.h"
#include "backends/kvm/kvm_irqchip.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {

KvmFeatures::KvmFeatures(KvmVm& vm) : vm_(vm) {}
KvmFeatures::~KvmFeatures() = default;

// Each interface is handed out as a pointer to its own type: FeatureOf casts it
// back to that.
void* KvmFeatures::Get(FeatureId id) {
  switch (id) {
    case FeatureId::kIrqchip:
      return static_cast<Irqchip*>(vm_.irqchip());
    case FeatureId::kIoEvents:
      if (vm_.system().Capability(KVM_CAP_IOEVENTFD) <= 0 &&
          vm_.system().Capability(KVM_CAP_COALESCED_MMIO) <= 0) {
        return nullptr;
      }
      if (io_events_ == nullptr) {
        io_events_ = std::make_unique<KvmIoEvents>(vm_);
      }
      return static_cast<IoEvents*>(io_events_.get());
    default:
      return nullptr;
  }
}

}  // namespace worldswitch
