// The one system call between host and guest.
//
// Made without the C library: its ioctl costs a dozen instructions per world
// switch, takes any number of arguments, and leaves its error in errno.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_RUN_CALL_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_RUN_CALL_H_

#include <sys/syscall.h>

#include "backends/kvm/kvm_header.h"

namespace worldswitch {

// KVM_RUN on a vCPU's descriptor. 0, or a negative errno. Any thread; nothing
// is retried.
inline int KvmRunCall(int vcpu_fd) {
  long result = SYS_ioctl;
  // Not a leaf for the compiler: KVM writes the shared page meanwhile. The
  // kernel overwrites rcx and r11 (APM 3, SYSCALL).
  asm volatile("syscall"
               : "+a"(result)
               : "D"(static_cast<long>(vcpu_fd)),
                 "S"(static_cast<long>(KVM_RUN)), "d"(0L)
               : "rcx", "r11", "memory");
  return static_cast<int>(result);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_RUN_CALL_H_
