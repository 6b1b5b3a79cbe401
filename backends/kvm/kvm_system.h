// /dev/kvm itself: opened, checked, and asked what it can do.
//
// One KvmSystem serves any number of VMs. Immutable once opened, so any thread
// may use it.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_SYSTEM_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/file_descriptor.h"
#include "backends/kvm/kvm_engine.h"
#include "backends/kvm/kvm_header.h"
#include "core/host/backend.h"

namespace worldswitch {

class KvmSystem {
 public:
  static constexpr char kDefaultDevice[] = "/dev/kvm";

  // Opens `device` and checks the API version and what every VM here relies on
  // (user memory, immediate_exit, vCPU events). Errors carry the remedy.
  static absl::StatusOr<std::shared_ptr<const KvmSystem>> Open(
      const std::string& device = kDefaultDevice,
      const std::string& sysfs = "/sys");

  int fd() const { return fd_.get(); }
  const std::string& device() const { return device_; }
  KvmEngine engine() const { return engine_; }
  const std::string& sysfs() const { return sysfs_; }
  // Bytes of a vCPU's shared page (KVM_GET_VCPU_MMAP_SIZE).
  std::size_t page_bytes() const { return page_bytes_; }
  const std::vector<kvm_cpuid_entry2>& supported_cpuid() const {
    return supported_cpuid_;
  }

  // KVM_CHECK_EXTENSION: 0 where it is not there, otherwise a value that means
  // what the capability's documentation says. A system call.
  int Capability(std::uint32_t capability) const;
  // True if registers can travel in the shared page.
  bool OffersSyncRegisters() const;

  // KVM_CREATE_VM. EBUSY, EMFILE and the like come with what to do.
  absl::StatusOr<FileDescriptor> CreateVm() const;

  // For `probe`: API version, engine, limits, counts, module parameters and
  // all capabilities that are there.
  std::vector<Fact> facts() const;

 private:
  KvmSystem(FileDescriptor fd, std::string device, std::string sysfs);
  absl::Status Check();

  FileDescriptor fd_;
  const std::string device_;
  const std::string sysfs_;
  const KvmEngine engine_;
  std::size_t page_bytes_ = 0;
  std::vector<kvm_cpuid_entry2> supported_cpuid_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_SYSTEM_H_
