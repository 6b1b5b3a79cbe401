#include "backends/vmx_intel/native/vmcs.h"

namespace worldswitch {

std::uint64_t Vmcs::Read(VmcsField field) {
  ++reads_;
  return ReadUncounted(field);
}

void Vmcs::Write(VmcsField field, std::uint64_t value) {
  const VmxStatus status = TryWrite(field, value);
  if (status != VmxStatus::kSucceeded &&
      refused_.status == VmxStatus::kSucceeded) {
    refused_ = {.status = status, .field = field};
  }
}

VmxStatus Vmcs::TryRead(VmcsField field, std::uint64_t* value) {
  ++reads_;
  return vmx::Vmread(field, value);
}

VmxStatus Vmcs::TryWrite(VmcsField field, std::uint64_t value) {
  ++writes_;
  return vmx::Vmwrite(field, value);
}

}  // namespace worldswitch
