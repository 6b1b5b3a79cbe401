#include "backends/kvm/kvm_status.h"

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {

absl::string_view KvmRemedy(int error_number) {
  switch (error_number) {
    case EBUSY:
      return "another hypervisor holds VT-x or SVM: stop it (VirtualBox, "
             "VMware) or unload its modules";
    case EMFILE:
      return "this process has too many open files: raise the limit (ulimit "
             "-n) or destroy some VMs";
    case ENFILE:
      return "the system has too many open files: raise fs.file-max";
    case ENOMEM:
      return "the kernel is out of memory for this: destroy some VMs, or give "
             "them less memory";
    case EACCES:
    case EPERM:
      return "run it as root, or as a user who may use KVM";
    case ENOTTY:
      return "this kernel does not know the operation: use a newer one";
    default:
      return "";
  }
}

absl::Status KvmStatus(int error_number, absl::string_view attempted) {
  return ErrnoStatus(error_number, attempted, KvmRemedy(error_number));
}

absl::Status KvmOpenStatus(int error_number, absl::string_view device) {
  const std::string attempted = absl::StrCat("open ", device);
  switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return ErrnoStatus(
          error_number, attempted,
          "load KVM (sudo modprobe kvm_intel, or sudo modprobe kvm_amd) and "
          "enable VT-x or SVM in the firmware; inside a VM, have its host "
          "offer nested virtualization; inside a container, pass the device in "
          "(--device /dev/kvm)");
    case EACCES:
    case EPERM:
      return ErrnoStatus(
          error_number, attempted,
          absl::StrCat("join the group that owns it (sudo usermod -aG kvm "
                       "\"$USER\", then log in again), or for now: sudo "
                       "setfacl -m \"u:$USER:rw\" ",
                       device));
    default:
      return KvmStatus(error_number, attempted);
  }
}

}  // namespace worldswitch
