#include "backends/kvm/kvm_system.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_capabilities.h"
#include "backends/kvm/kvm_cpuid.h"
#include "backends/kvm/kvm_status.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

// How many MSRs the engine lists; 0 if it does not tell.
std::uint32_t MsrCount(int kvm_fd) {
  kvm_msr_list list = {};
  // With no room it answers E2BIG and the number.
  if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &list) != 0 && errno != E2BIG) {
    return 0;
  }
  return list.nmsrs;
}

std::string YesNo(bool yes) { return yes ? "yes" : "no"; }

}  // namespace

KvmSystem::KvmSystem(FileDescriptor fd, std::string device, std::string sysfs)
    : fd_(std::move(fd)),
      device_(std::move(device)),
      sysfs_(std::move(sysfs)),
      engine_(IdentifyKvmEngine(sysfs_)) {}

absl::StatusOr<std::shared_ptr<const KvmSystem>> KvmSystem::Open(
    const std::string& device, const std::string& sysfs) {
  FileDescriptor fd(open(device.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return KvmOpenStatus(errno, device);
  std::shared_ptr<KvmSystem> system(
      new KvmSystem(std::move(fd), device, sysfs));
  if (absl::Status status = system->Check(); !status.ok()) return status;
  absl::StatusOr<std::vector<kvm_cpuid_entry2>> cpuid =
      SupportedCpuid(system->fd());
  if (!cpuid.ok()) return cpuid.status();
  system->supported_cpuid_ = *std::move(cpuid);
  return system;
}

absl::Status KvmSystem::Check() {
  const int version = ioctl(fd(), KVM_GET_API_VERSION, 0);
  if (version < 0 && device_ == kDefaultDevice) {
    return absl::FailedPreconditionError(absl::StrCat(
        "KVM_GET_API_VERSION on ", device_, " failed: ", ErrnoName(errno), ". ",
        device_,
        " is not KVM here: make it anew (sudo mknod /dev/kvm c 10 232), or "
        "name KVM's device (device=...)"));
  }
  if (version < 0) {
    return ErrnoStatus(errno, absl::StrCat("KVM_GET_API_VERSION on ", device_),
                       "this is not KVM: name its device (device=/dev/kvm)");
  }
  if (version != KVM_API_VERSION) {
    return absl::FailedPreconditionError(absl::StrCat(
        device_, " speaks version ", version,
        " of KVM's API, and this program version ", KVM_API_VERSION,
        "; use a kernel newer than Linux 2.6.22"));
  }
  struct Needed {
    std::uint32_t number;
    const char* name;
  };
  for (const Needed& needed :
       {Needed{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
        Needed{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
        Needed{KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
        Needed{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"}}) {
    if (Capability(needed.number) > 0) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the engine behind ", device_, " (", KvmEngineName(engine_), ") lacks ",
        needed.name, "; use Linux 4.13 or newer"));
  }
  const int page_bytes = ioctl(fd(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (page_bytes < 0) {
    return KvmStatus(errno,
                     absl::StrCat("KVM_GET_VCPU_MMAP_SIZE on ", device_));
  }
  if (static_cast<std::size_t>(page_bytes) < sizeof(kvm_run)) {
    return absl::FailedPreconditionError(absl::StrCat(
        device_, " shares ", page_bytes, " bytes with each vCPU, and ",
        sizeof(kvm_run), " are needed; use a newer kernel"));
  }
  page_bytes_ = static_cast<std::size_t>(page_bytes);
  return absl::OkStatus();
}

int KvmSystem::Capability(std::uint32_t capability) const {
  return std::max(0, ioctl(fd(), KVM_CHECK_EXTENSION,
                           static_cast<unsigned long>(capability)));
}

bool KvmSystem::OffersSyncRegisters() const {
  constexpr int kNeeded = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
  return (Capability(KVM_CAP_SYNC_REGS) & kNeeded) == kNeeded;
}

absl::StatusOr<FileDescriptor> KvmSystem::CreateVm() const {
  int fd = -1;
  do {
    fd = ioctl(fd_.get(), KVM_CREATE_VM, 0);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    return KvmStatus(errno, absl::StrCat("KVM_CREATE_VM on ", device_));
  }
  return FileDescriptor(fd);
}

std::vector<Fact> KvmSystem::facts() const {
  std::vector<Fact> facts;
  const auto add = [&facts](std::string name, std::string value) {
    facts.push_back({std::move(name), std::move(value)});
  };
  const char* const engine = KvmEngineName(engine_);
  add("device", device_);
  add("api_version", absl::StrCat(ioctl(fd(), KVM_GET_API_VERSION, 0)));
  add("engine", engine);
  add("runs_under_hypervisor", YesNo(RunsUnderHypervisor()));
  add("vcpus_recommended", absl::StrCat(Capability(KVM_CAP_NR_VCPUS)));
  add("vcpus_max", absl::StrCat(Capability(KVM_CAP_MAX_VCPUS)));
  add("memory_slots", absl::StrCat(Capability(KVM_CAP_NR_MEMSLOTS)));
  add("shared_page_bytes", absl::StrCat(page_bytes_));
  add("cpuid_entries", absl::StrCat(supported_cpuid_.size()));
  add("msrs", absl::StrCat(MsrCount(fd())));
  add("statistics", YesNo(Capability(KVM_CAP_BINARY_STATS_FD) > 0));
  add("sync_registers", YesNo(OffersSyncRegisters()));
  for (const char* module : {"kvm", engine}) {
    for (const Fact& parameter : ModuleParameters(sysfs_, module)) {
      add(absl::StrCat(module, ".", parameter.name), parameter.value);
    }
  }
  for (const KvmCapability& capability : AllKvmCapabilities()) {
    const int value = Capability(capability.number);
    if (value != 0) {
      add(absl::StrCat("KVM_CAP_", capability.name), absl::StrCat(value));
    }
  }
  return facts;
}

}  // namespace worldswitch
