// KVM's capabilities by name, those that mean something on x86.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_CAPABILITIES_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_CAPABILITIES_H_

#include <cstdint>
#include <vector>

namespace worldswitch {

struct KvmCapability {
  const char* name;  // without KVM_CAP_, for example "SYNC_REGS"
  std::uint32_t number;
};

// In the order of their numbers.
const std::vector<KvmCapability>& AllKvmCapabilities();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_CAPABILITIES_H_
