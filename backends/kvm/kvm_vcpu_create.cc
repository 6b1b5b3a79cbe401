// Making, setting up and destroying a vCPU: all that is not between entries.

#include <sys/mman.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/kvm/kvm_status.h"
#include "backends/kvm/kvm_vcpu.h"

namespace worldswitch {
namespace {

// A structure of KVM with a counted array behind it.
template <typename Header, typename Entry>
class Counted {
 public:
  explicit Counted(const std::vector<Entry>& entries)
      : words_((sizeof(Header) + entries.size() * sizeof(Entry) + 7) / 8) {
    if (entries.empty()) return;  // data() may be null
    std::memcpy(array(), entries.data(), entries.size() * sizeof(Entry));
  }
  Header* header() { return reinterpret_cast<Header*>(words_.data()); }
  std::byte* array() {
    return reinterpret_cast<std::byte*>(words_.data()) + sizeof(Header);
  }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KvmVcpu>> KvmVcpu::Create(
    int vm_fd, std::uint32_t id, const Options& options) {
  FileDescriptor fd(
      ::ioctl(vm_fd, KVM_CREATE_VCPU, static_cast<unsigned long>(id)));
  if (!fd.valid()) {
    return KvmStatus(errno, absl::StrCat("KVM_CREATE_VCPU ", id));
  }
  void* page = mmap(nullptr, options.page_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) {
    return KvmStatus(errno, absl::StrCat("map the shared page of vCPU ", id,
                                         " (", options.page_bytes, " bytes)"));
  }
  return std::unique_ptr<KvmVcpu>(
      new KvmVcpu(std::move(fd), static_cast<kvm_run*>(page), id, options));
}

KvmVcpu::KvmVcpu(FileDescriptor fd, kvm_run* page, std::uint32_t id,
                 const Options& options)
    : page_(page),
      fd_(std::move(fd)),
      transport_(options.registers),
      kernel_irqchip_(options.kernel_irqchip),
      bus_lock_exits_(options.bus_lock_exits),
      kick_(new KickBlock(page, options.kick_signal)),
      page_bytes_(options.page_bytes),
      id_(id) {}

KvmVcpu::~KvmVcpu() {
  kick_->Detach();
  kick_->Unref();
  munmap(page_, page_bytes_);
}

absl::Status KvmVcpu::SetCpuid(const std::vector<kvm_cpuid_entry2>& entries) {
  Counted<kvm_cpuid2, kvm_cpuid_entry2> cpuid(entries);
  cpuid.header()->nent = static_cast<__u32>(entries.size());
  if (!Ioctl(KVM_SET_CPUID2, cpuid.header())) {
    return KvmStatus(last_error_,
                     absl::StrCat("KVM_SET_CPUID2 of vCPU ", id_, " with ",
                                  entries.size(), " entries"));
  }
  return absl::OkStatus();
}

absl::Status KvmVcpu::GetMsrs(std::vector<kvm_msr_entry>* entries) {
  Counted<kvm_msrs, kvm_msr_entry> msrs(*entries);
  msrs.header()->nmsrs = static_cast<__u32>(entries->size());
  const int done = ::ioctl(fd_.get(), KVM_GET_MSRS, msrs.header());
  if (done < 0) {
    return KvmStatus(errno, absl::StrCat("KVM_GET_MSRS of vCPU ", id_));
  }
  if (!entries->empty()) {
    std::memcpy(entries->data(), msrs.array(),
                entries->size() * sizeof(kvm_msr_entry));
  }
  if (static_cast<std::size_t>(done) == entries->size()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("KVM_GET_MSRS of vCPU %u: the engine does not read MSR "
                      "%#x",
                      id_, (*entries)[static_cast<std::size_t>(done)].index));
}

absl::Status KvmVcpu::SetMsrs(const std::vector<kvm_msr_entry>& entries) {
  Counted<kvm_msrs, kvm_msr_entry> msrs(entries);
  msrs.header()->nmsrs = static_cast<__u32>(entries.size());
  const int done = ::ioctl(fd_.get(), KVM_SET_MSRS, msrs.header());
  if (done < 0) {
    return KvmStatus(errno, absl::StrCat("KVM_SET_MSRS of vCPU ", id_));
  }
  if (static_cast<std::size_t>(done) == entries.size()) {
    return absl::OkStatus();
  }
  const kvm_msr_entry& refused = entries[static_cast<std::size_t>(done)];
  return absl::InvalidArgumentError(absl::StrFormat(
      "KVM_SET_MSRS of vCPU %u: the engine refuses %#x for MSR %#x; the %d "
      "before it are set",
      id_, static_cast<std::uint64_t>(refused.data), refused.index, done));
}

bool KvmVcpu::SetTscOffset(std::uint64_t offset) {
  kvm_device_attr attribute = {};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<std::uintptr_t>(&offset);
  return ::ioctl(fd_.get(), KVM_SET_DEVICE_ATTR, &attribute) == 0;
}

}  // namespace worldswitch
