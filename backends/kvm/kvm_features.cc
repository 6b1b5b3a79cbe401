#include "backends/kvm/kvm_features.h"

#include "backends/kvm/kvm_vm.h"

namespace worldswitch {

KvmFeatures::KvmFeatures(KvmVm& vm) : vm_(vm) {}

void* KvmFeatures::Get(FeatureId /*id*/) {
  static_cast<void>(vm_);
  return nullptr;
}

}  // namespace worldswitch
