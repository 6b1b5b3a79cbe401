// <linux/kvm.h>, included once and made right for C++.
//
// Some kernel headers (Linux 6.1's among them) declare a flexible array inside
// an anonymous struct behind an empty one, and an empty struct has size 1 in
// C++. The structures grow, the ioctl numbers carry the wrong size, and every
// such ioctl fails with EINVAL. The macro is replaced here, and the sizes are
// checked. Only files under backends/kvm include this; nobody includes
// <linux/kvm.h> beside it.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_HEADER_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_HEADER_H_

#include <linux/stddef.h>
#undef __DECLARE_FLEX_ARRAY
// NOLINTNEXTLINE(bugprone-reserved-identifier): the kernel's name
#define __DECLARE_FLEX_ARRAY(type, name) type name[0]
#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>

namespace worldswitch {

static_assert(sizeof(kvm_cpuid2) == 8);
static_assert(sizeof(kvm_msrs) == 8);
static_assert(sizeof(kvm_msr_list) == 4);
static_assert(sizeof(kvm_reg_list) == 8);
static_assert(sizeof(kvm_irq_routing) == 8);
static_assert(sizeof(kvm_signal_mask) == 4);
static_assert(sizeof(kvm_coalesced_mmio_ring) == 8);
static_assert(sizeof(kvm_pmu_event_filter) == 32);
static_assert(sizeof(kvm_stats_header) == 24);
static_assert(sizeof(kvm_stats_desc) == 16);
static_assert(sizeof(kvm_regs) == 144);
static_assert(sizeof(kvm_sregs) == 312);
static_assert(sizeof(kvm_vcpu_events) == 64);
static_assert(sizeof(kvm_userspace_memory_region) == 32);
static_assert(sizeof(kvm_enable_cap) == 104);
static_assert(sizeof(kvm_run) == 2352);
static_assert(offsetof(kvm_run, io) == 32);

// Exit codes younger than the oldest header this is built with (Linux 6.1).
inline constexpr std::uint32_t kKvmExitLoongarchIocsr = 38;
inline constexpr std::uint32_t kKvmExitMemoryFault = 39;
inline constexpr std::uint32_t kKvmExitTdx = 40;
inline constexpr std::uint32_t kKvmExitArmSea = 41;

// The payload of kKvmExitMemoryFault, at the place of kvm_run's union.
struct KvmMemoryFault {
  std::uint64_t flags;
  std::uint64_t gpa;
  std::uint64_t size;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_HEADER_H_
