#include "bench/bare_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guests/layout.h"

enum {
  kCpuidRoom = 256,
  kKernelCode = 0x08,
  kKernelData = 0x10,
  kTaskState = 0x28,
  kTssLimit = 104 + 8192,
  kRflagsFixed = 2
};

/* KVM's own pages for real mode, as high as they go. */
static const uint64_t kIdentityMap = 0xFFFBC000;
static const uint64_t kTssPages = 0xFFFBD000;

struct WsBareSystem {
  int fd;
  size_t page_bytes;
  struct kvm_cpuid2* cpuid;
};

struct WsBareVm {
  int fd;
  int vcpu_fd;
  struct kvm_run* run;
  size_t page_bytes;
  void* memory;
  size_t memory_bytes;
};

/* The APIC id of vCPU 0 in place of the host CPU's that answered. */
static void make_cpuid_of_vcpu_0(struct kvm_cpuid2* cpuid) {
  for (uint32_t i = 0; i < cpuid->nent; ++i) {
    struct kvm_cpuid_entry2* entry = &cpuid->entries[i];
    if (entry->function == 1) entry->ebx &= 0xFFFFFF;
    if (entry->function == 0xB || entry->function == 0x1F) entry->edx = 0;
    if (entry->function == 0x8000001E) entry->eax = 0;
  }
}

struct WsBareSystem* ws_bare_system_open(void) {
  struct WsBareSystem* system = calloc(1, sizeof(*system));
  if (system == NULL) return NULL;
  int page_bytes = -1;
  system->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (system->fd >= 0) {
    page_bytes = ioctl(system->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    system->cpuid = calloc(1, sizeof(*system->cpuid) +
                                  kCpuidRoom * sizeof(struct kvm_cpuid_entry2));
  }
  if (page_bytes >= 0 && system->cpuid != NULL) {
    system->page_bytes = (size_t)page_bytes;
    system->cpuid->nent = kCpuidRoom;
    if (ioctl(system->fd, KVM_GET_SUPPORTED_CPUID, system->cpuid) == 0) {
      make_cpuid_of_vcpu_0(system->cpuid);
      return system;
    }
  }
  const int error_number = errno;
  ws_bare_system_close(system);
  errno = error_number;
  return NULL;
}

void ws_bare_system_close(struct WsBareSystem* system) {
  if (system == NULL) return;
  if (system->fd >= 0) close(system->fd);
  free(system->cpuid);
  free(system);
}

static int add_memory(struct WsBareVm* vm) {
  vm->memory = mmap(NULL, vm->memory_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (vm->memory == MAP_FAILED) {
    vm->memory = NULL;
    return -1;
  }
  struct kvm_userspace_memory_region region = {
      .memory_size = vm->memory_bytes, .userspace_addr = (uintptr_t)vm->memory};
  return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int add_vcpu(struct WsBareVm* vm, const struct WsBareSystem* system) {
  vm->vcpu_fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
  if (vm->vcpu_fd < 0) return -1;
  void* page = mmap(NULL, system->page_bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED, vm->vcpu_fd, 0);
  if (page == MAP_FAILED) return -1;
  vm->run = page;
  vm->page_bytes = system->page_bytes;
  if (ioctl(vm->vcpu_fd, KVM_SET_CPUID2, system->cpuid) != 0) return -1;
  /* One clock in guest and host, on the engines that can. */
  uint64_t offset = 0;
  struct kvm_device_attr attribute = {.group = KVM_VCPU_TSC_CTRL,
                                      .attr = KVM_VCPU_TSC_OFFSET,
                                      .addr = (uintptr_t)&offset};
  (void)ioctl(vm->vcpu_fd, KVM_SET_DEVICE_ATTR, &attribute);
  return 0;
}

struct WsBareVm* ws_bare_vm_create(const struct WsBareSystem* system,
                                   size_t memory_bytes) {
  struct WsBareVm* vm = calloc(1, sizeof(*vm));
  if (vm == NULL) return NULL;
  uint64_t identity_map = kIdentityMap;
  vm->memory_bytes = memory_bytes;
  vm->vcpu_fd = -1;
  vm->fd = ioctl(system->fd, KVM_CREATE_VM, 0);
  if (vm->fd >= 0 && add_memory(vm) == 0 &&
      ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) == 0 &&
      ioctl(vm->fd, KVM_SET_TSS_ADDR, kTssPages) == 0 &&
      add_vcpu(vm, system) == 0) {
    return vm;
  }
  const int error_number = errno;
  ws_bare_vm_destroy(vm);
  errno = error_number;
  return NULL;
}

void ws_bare_vm_destroy(struct WsBareVm* vm) {
  if (vm == NULL) return;
  if (vm->run != NULL) munmap(vm->run, vm->page_bytes);
  if (vm->vcpu_fd >= 0) close(vm->vcpu_fd);
  if (vm->fd >= 0) close(vm->fd);
  if (vm->memory != NULL) munmap(vm->memory, vm->memory_bytes);
  free(vm);
}

void* ws_bare_vm_memory(struct WsBareVm* vm) { return vm->memory; }

int ws_bare_vm_vcpu_fd(const struct WsBareVm* vm) { return vm->vcpu_fd; }

static void set_real_mode(struct kvm_sregs* sregs) {
  const struct kvm_segment data = {
      .limit = 0xFFFF, .type = 3, .present = 1, .s = 1};
  sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->cs = data;
  sregs->cs.type = 11;
  sregs->ss.base = WS_CODE_LIMIT;
  sregs->ss.selector = WS_CODE_LIMIT >> 4;
  sregs->idt.base = 0;
  sregs->idt.limit = 0x3FF;
  sregs->cr0 = 0x10; /* ET */
  sregs->cr3 = sregs->cr4 = sregs->efer = 0;
}

static void set_ring0(struct kvm_sregs* sregs) {
  const struct kvm_segment data = {.limit = 0xFFFFFFFF,
                                   .selector = kKernelData,
                                   .type = 3,
                                   .present = 1,
                                   .db = 1,
                                   .s = 1,
                                   .g = 1};
  const struct kvm_segment task = {.base = WS_TSS,
                                   .limit = kTssLimit,
                                   .selector = kTaskState,
                                   .type = 11,
                                   .present = 1};
  const struct kvm_segment no_ldt = {.type = 2, .present = 1, .unusable = 1};
  sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->cs = data;
  sregs->cs.selector = kKernelCode;
  sregs->cs.type = 11;
  sregs->cs.db = 0;
  sregs->cs.l = 1;
  sregs->tr = task;
  sregs->ldt = no_ldt;
  sregs->gdt.base = WS_GDT;
  sregs->gdt.limit = kTaskState + 15;
  sregs->idt.base = WS_IDT;
  sregs->idt.limit = 256 * 16 - 1;
  sregs->cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
  sregs->cr3 = WS_PML4;
  sregs->cr4 = 0x220;  /* OSFXSR, PAE */
  sregs->efer = 0x500; /* LMA, LME */
}

int ws_bare_vm_start(struct WsBareVm* vm, enum WsBareMode mode, uint64_t rip,
                     uint64_t rsp) {
  struct kvm_regs regs = {.rip = rip, .rsp = rsp, .rflags = kRflagsFixed};
  struct kvm_sregs sregs;
  if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs) != 0) return -1;
  if (mode == kWsBareReal) {
    set_real_mode(&sregs);
  } else {
    set_ring0(&sregs);
  }
  if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) != 0) return -1;
  return ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs);
}

/* The same two instructions as ReadTsc() of bench/tsc.h. */
static uint64_t read_tsc(void) {
  uint32_t low;
  uint32_t high;
  __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (uint64_t)high << 32 | low;
}

enum Action { kResume, kReturn, kGiveUp };

static enum Action handle_io(const struct kvm_run* run,
                             struct WsBareBlock* block) {
  if (run->io.port != WS_PORT_TEST) return kGiveUp;
  block->stamps[block->seen] = read_tsc();
  return ++block->seen == block->wanted ? kReturn : kResume;
}

int ws_bare_run(struct WsBareVm* vm, struct WsBareBlock* block) {
  for (;;) {
    if (ioctl(vm->vcpu_fd, KVM_RUN, 0) != 0) return -1;
    enum Action action = kGiveUp;
    switch (vm->run->exit_reason) {
      case KVM_EXIT_IO:
        action = handle_io(vm->run, block);
        break;
      default:
        break;
    }
    if (action == kReturn) return 0;
    if (action == kGiveUp) {
      errno = EPROTO;
      return -1;
    }
  }
}
