// The kernel's structures have the sizes they have in C: the ioctl numbers
// carry them, and a wrong one is answered with EINVAL.

#include "backends/kvm/kvm_header.h"

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

unsigned SizeIn(unsigned long request) { return _IOC_SIZE(request); }

TEST(KvmHeaderTest, IoctlNumbersCarryTheSizesOfTheAbi) {
  EXPECT_EQ(SizeIn(KVM_GET_SUPPORTED_CPUID), 8u);
  EXPECT_EQ(SizeIn(KVM_SET_CPUID2), 8u);
  EXPECT_EQ(SizeIn(KVM_GET_MSRS), 8u);
  EXPECT_EQ(SizeIn(KVM_SET_MSRS), 8u);
  EXPECT_EQ(SizeIn(KVM_GET_MSR_INDEX_LIST), 4u);
  EXPECT_EQ(SizeIn(KVM_SET_GSI_ROUTING), 8u);
  EXPECT_EQ(SizeIn(KVM_SET_SIGNAL_MASK), 4u);
  EXPECT_EQ(SizeIn(KVM_GET_REGS), 144u);
  EXPECT_EQ(SizeIn(KVM_GET_SREGS), 312u);
  EXPECT_EQ(SizeIn(KVM_GET_VCPU_EVENTS), 64u);
}

TEST(KvmHeaderTest, ArraysBeginBehindTheirHeaders) {
  EXPECT_EQ(offsetof(kvm_cpuid2, entries), 8u);
  EXPECT_EQ(offsetof(kvm_msrs, entries), 8u);
  EXPECT_EQ(offsetof(kvm_msr_list, indices), 4u);
  EXPECT_EQ(offsetof(kvm_stats_desc, name), 16u);
}

}  // namespace
}  // namespace worldswitch
