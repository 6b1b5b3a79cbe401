// How often the backend read and wrote fields of the VMCS on the way through an
// exit: VMREADs and VMWRITEs are what a VMX switch costs besides itself.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_FIELD_COUNTS_H_
#define WORLDSWITCH_CORE_FEATURES_FIELD_COUNTS_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

struct FieldCounts {
  std::uint64_t reads = 0;   // VMREAD instructions since the vCPU was made
  std::uint64_t writes = 0;  // VMWRITE instructions
};

class FieldCounter {
 public:
  static constexpr FeatureId kId = FeatureId::kFieldCounts;

  virtual FieldCounts field_counts(std::uint32_t vcpu_index) = 0;

 protected:
  ~FieldCounter() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_FIELD_COUNTS_H_
