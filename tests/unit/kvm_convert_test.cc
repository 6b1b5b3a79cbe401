// Registers and CPUID on their way between the contract and KVM.

#include <cstring>

#include "backends/kvm/kvm_cpuid.h"
#include "backends/kvm/register_convert.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

TEST(RegisterConvertTest, GeneralRegistersKeepTheirNames) {
  kvm_regs regs = {};
  regs.rax = 1;
  regs.rbx = 2;
  regs.rcx = 3;
  regs.rdx = 4;
  regs.rbp = 5;
  regs.r9 = 9;
  regs.rip = 0x1000;
  regs.rflags = 2;
  GeneralRegisters general;
  FromKvm(regs, &general);
  EXPECT_EQ(general.rax, 1u);
  EXPECT_EQ(general.rbx, 2u);
  EXPECT_EQ(general.rcx, 3u);
  EXPECT_EQ(general.rdx, 4u);
  EXPECT_EQ(general.rbp, 5u);
  EXPECT_EQ(general.r9, 9u);
  EXPECT_EQ(general.rip, 0x1000u);
  EXPECT_EQ(general.rflags, 2u);
  kvm_regs back;
  ToKvm(general, &back);
  EXPECT_EQ(std::memcmp(&back, &regs, sizeof(regs)), 0);
}

TEST(RegisterConvertTest, AccessRightsAreInTheVmxFormat) {
  kvm_sregs sregs = {};
  sregs.cs.type = 11;
  sregs.cs.s = 1;
  sregs.cs.present = 1;
  sregs.cs.l = 1;
  sregs.cs.g = 1;
  sregs.ldt.unusable = 1;
  sregs.ss.dpl = 3;
  sregs.ss.db = 1;
  sregs.ss.avl = 1;
  SpecialRegisters special;
  FromKvm(sregs, &special);
  EXPECT_EQ(special.cs.access_rights, 0xA09Bu);
  EXPECT_EQ(special.ldtr.access_rights, 0x10000u);
  EXPECT_EQ(special.ss.access_rights, 0x5060u);
}

TEST(RegisterConvertTest, SpecialRegistersMakeTheRoundTrip) {
  kvm_sregs sregs = {};
  sregs.cs.base = 0xFFFF0000;
  sregs.cs.limit = 0xFFFF;
  sregs.cs.selector = 0xF000;
  sregs.cs.type = 11;
  sregs.cs.present = 1;
  sregs.cs.s = 1;
  sregs.tr.type = 11;
  sregs.tr.present = 1;
  sregs.gs.base = 0x123456789;
  sregs.gdt.base = 0x1000;
  sregs.gdt.limit = 23;
  sregs.idt.base = 0x2000;
  sregs.idt.limit = 4095;
  sregs.cr0 = 0x80000011;
  sregs.cr2 = 2;
  sregs.cr3 = 0x3000;
  sregs.cr4 = 0x20;
  sregs.cr8 = 8;
  sregs.efer = 0x500;
  sregs.apic_base = 0xFEE00900;
  SpecialRegisters special;
  FromKvm(sregs, &special);
  kvm_sregs back;
  ToKvm(special, &back);
  EXPECT_EQ(std::memcmp(&back, &sregs, sizeof(sregs)), 0);
}

TEST(RegisterConvertTest, SettingRegistersQueuesNoInterrupt) {
  kvm_sregs sregs = {};
  sregs.interrupt_bitmap[0] = 1ull << 33;
  SpecialRegisters special;
  FromKvm(sregs, &special);
  ToKvm(special, &sregs);
  EXPECT_EQ(sregs.interrupt_bitmap[0], 0u);
}

TEST(KvmCpuidTest, EveryVcpuHasItsOwnApicId) {
  std::vector<kvm_cpuid_entry2> supported(4);
  supported[0].function = 1;
  supported[0].ebx = 0x07123456;
  supported[1].function = 0xB;
  supported[1].edx = 7;
  supported[2].function = 0x8000001E;
  supported[2].eax = 7;
  supported[3].function = 0x80000008;
  supported[3].edx = 7;
  const std::vector<kvm_cpuid_entry2> entries = CpuidForVcpu(supported, 2);
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].ebx, 0x02123456u);
  EXPECT_EQ(entries[1].edx, 2u);
  EXPECT_EQ(entries[2].eax, 2u);
  EXPECT_EQ(entries[3].edx, 7u) << "this one tells no APIC id";
}

}  // namespace
}  // namespace worldswitch
