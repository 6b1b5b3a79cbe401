/* The reference that this project's loop is held against: what a program
 * without it writes, in plain C. A VM made by hand, and a loop around
 * ioctl(KVM_RUN) that counts the OUTs of its guest.
 *
 * One vCPU, used by one thread at a time. What fails leaves its reason in
 * errno. */

#ifndef WORLDSWITCH_BENCH_BARE_LOOP_H_
#define WORLDSWITCH_BENCH_BARE_LOOP_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* /dev/kvm, asked once for what every VM needs. */
struct WsBareSystem;
struct WsBareVm;

enum WsBareMode { kWsBareReal, kWsBareRing0 };

/* Null if it fails. */
struct WsBareSystem* ws_bare_system_open(void);
void ws_bare_system_close(struct WsBareSystem* system);

/* A VM with memory at guest-physical 0 and one vCPU. Null if it fails. */
struct WsBareVm* ws_bare_vm_create(const struct WsBareSystem* system,
                                   size_t memory_bytes);
void ws_bare_vm_destroy(struct WsBareVm* vm);
void* ws_bare_vm_memory(struct WsBareVm* vm);
int ws_bare_vm_vcpu_fd(const struct WsBareVm* vm);

/* Sets the vCPU's registers; the tables for kWsBareRing0 are expected where
 * guests/layout.h has them. 0, or -1. */
int ws_bare_vm_start(struct WsBareVm* vm, enum WsBareMode mode, uint64_t rip,
                     uint64_t rsp);

/* What the handler keeps: it counts, and notes the TSC of each exit. */
struct WsBareBlock {
  uint64_t wanted; /* exits to take, 1 or more */
  uint64_t seen;
  uint64_t* stamps; /* room for `wanted` */
};

/* Runs the guest until block->wanted OUTs to WS_PORT_TEST were seen. 0; or -1
 * if KVM_RUN failed, and then errno is its own, or if another exit came, and
 * then errno is EPROTO. */
int ws_bare_run(struct WsBareVm* vm, struct WsBareBlock* block);

#ifdef __cplusplus
}
#endif

#endif /* WORLDSWITCH_BENCH_BARE_LOOP_H_ */
