// What of the native SVM backend needs no processor: the VMCB's layout,
// segments and special registers to and fro, and the rules of VMRUN, each
// broken alone.

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backends/svm_amd/native/svm_failure.h"
#include "backends/svm_amd/native/svm_instruction.h"
#include "backends/svm_amd/native/svm_msr_map.h"
#include "backends/svm_amd/native/svm_segments.h"
#include "backends/svm_amd/native/svm_state.h"
#include "backends/svm_amd/native/svm_state_rules.h"
#include "backends/svm_amd/native/vmcb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch::svm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A VMCB that VMRUN takes: a guest in 64-bit mode.
std::unique_ptr<Vmcb> MakeVmcb() {
  auto vmcb = std::make_unique<Vmcb>();
  ResetSvmState(*vmcb);
  vmcb->control.intercepts2 = SvmIntercept2::kVmrun;
  vmcb->control.guest_asid = 1;
  vmcb->control.nested_control = SvmNestedControl::kNestedPaging;
  vmcb->control.nested_cr3 = 0x1000;
  vmcb->save.efer = kEferSvme | kEferLme | kEferLma;
  vmcb->save.cr0 = kCr0Pg | kCr0Pe | kCr0Et;
  vmcb->save.cr4 = kCr4Pae;
  vmcb->save.cs.attributes = 0xA9B;
  return vmcb;
}

std::vector<std::string> BrokenRules(const Vmcb& vmcb) {
  std::vector<std::string> broken;
  for (const SvmStateRule& rule : AllSvmStateRules()) {
    if (rule.is_broken(vmcb, SvmLimits())) broken.emplace_back(rule.name);
  }
  return broken;
}

TEST(SvmStateRules, StateAfterResetAndLongModeBreakNone) {
  EXPECT_THAT(BrokenRules(*MakeVmcb()), IsEmpty());
  Vmcb reset = *MakeVmcb();
  ResetSvmState(reset);
  EXPECT_THAT(BrokenRules(reset), IsEmpty());
  EXPECT_EQ(FirstBrokenRule(reset, SvmLimits()), nullptr);
}

TEST(SvmStateRules, EachIsBrokenAlone) {
  struct Breach {
    const char* rule;
    void (*make)(Vmcb& vmcb);
  };
  constexpr std::uint64_t kHigh = std::uint64_t{1} << 40;
  constexpr std::uint64_t kTop = std::uint64_t{1} << 60;
  const Breach breaches[] = {
      {"efer_svme_clear", [](Vmcb& v) { v.save.efer &= ~kEferSvme; }},
      {"cr0_nw_without_cd", [](Vmcb& v) { v.save.cr0 |= kCr0Nw; }},
      {"cr0_high", [](Vmcb& v) { v.save.cr0 |= kHigh; }},
      {"cr3_mbz", [](Vmcb& v) { v.save.cr3 |= kTop; }},
      {"cr4_mbz", [](Vmcb& v) { v.save.cr4 |= kHigh; }},
      {"dr6_high", [](Vmcb& v) { v.save.dr6 |= kHigh; }},
      {"dr7_high", [](Vmcb& v) { v.save.dr7 |= kHigh; }},
      {"efer_mbz", [](Vmcb& v) { v.save.efer |= kHigh; }},
      {"long_mode_without_pae", [](Vmcb& v) { v.save.cr4 &= ~kCr4Pae; }},
      {"long_mode_without_pe", [](Vmcb& v) { v.save.cr0 &= ~kCr0Pe; }},
      {"cs_long_and_default",
       [](Vmcb& v) { v.save.cs.attributes |= kSvmSegmentDefault; }},
      {"vmrun_not_intercepted", [](Vmcb& v) { v.control.intercepts2 = 0; }},
      {"iopm_beyond_memory", [](Vmcb& v) { v.control.iopm_base_pa = kTop; }},
      {"msrpm_beyond_memory",
       [](Vmcb& v) { v.control.msrpm_base_pa = (std::uint64_t{1} << 48) - 1; }},
      {"event_type_reserved",
       [](Vmcb& v) { v.control.event_injection = 0x80000140; }},
      {"event_not_an_exception",
       [](Vmcb& v) { v.control.event_injection = 0x80000302; }},
      {"asid_zero", [](Vmcb& v) { v.control.guest_asid = 0; }},
      {"nested_cr3_mbz", [](Vmcb& v) { v.control.nested_cr3 |= kTop; }},
      {"g_pat_type", [](Vmcb& v) { v.save.g_pat = 0x0300; }},
  };
  EXPECT_EQ(std::size(breaches), AllSvmStateRules().size());
  for (const Breach& breach : breaches) {
    const std::unique_ptr<Vmcb> vmcb = MakeVmcb();
    breach.make(*vmcb);
    EXPECT_THAT(BrokenRules(*vmcb), ElementsAre(breach.rule));
    EXPECT_STREQ(FirstBrokenRule(*vmcb, SvmLimits())->name, breach.rule);
  }
}

TEST(SvmStateRules, PagedRealModeIsTheGuestsOwnBusiness) {
  // VMRUN takes it (APM 2, 15.19); the contract does not.
  const std::unique_ptr<Vmcb> vmcb = MakeVmcb();
  vmcb->save.efer = kEferSvme;
  vmcb->save.cr0 = kCr0Pg | kCr0Et;
  EXPECT_THAT(BrokenRules(*vmcb), IsEmpty());
  SpecialRegisters special = {};
  special.cr0 = kCr0Pg;
  EXPECT_FALSE(IsPossibleState(special));
  special.cr0 = kCr0Pg | kCr0Pe;
  EXPECT_TRUE(IsPossibleState(special));
}

TEST(SvmSegments, AccessRightsToAttributesAndBack) {
  struct Pair {
    std::uint32_t rights;
    std::uint16_t attributes;
  };
  // 64-bit code, flat data, a busy TSS, real mode's code.
  for (const Pair& pair :
       {Pair{0xA09B, 0xA9B}, Pair{0xC093, 0xC93}, Pair{0x8B, 0x8B},
        Pair{0x9B, 0x9B}, Pair{0xF0FB, 0xFFB}}) {
    EXPECT_EQ(SvmAttributes(pair.rights), pair.attributes);
    EXPECT_EQ(AccessRights(pair.attributes), pair.rights);
  }
  // Not usable is not present.
  EXPECT_EQ(SvmAttributes(0x10082), 0x02);
  EXPECT_EQ(AccessRights(0x02), 0x10002u);
}

TEST(SvmState, SpecialRegistersThereAndBack) {
  const std::unique_ptr<Vmcb> vmcb = MakeVmcb();
  SpecialRegisters special = {};
  const Segment data = {.base = 0x1000,
                        .limit = 0xFFFFF,
                        .access_rights = 0xC0F3,
                        .selector = 0x23};
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.cs = {.base = 0,
                .limit = 0xFFFFFFFF,
                .access_rights = 0xA0FB,
                .selector = 0x2B};
  special.tr = {
      .base = 0x5000, .limit = 0x67, .access_rights = 0x8B, .selector = 0x28};
  special.ldtr = {
      .base = 0, .limit = 0, .access_rights = 0x10082, .selector = 0};
  special.gdtr = {.base = 0x3000, .limit = 0x37};
  special.idtr = {.base = 0x4000, .limit = 0xFFF};
  special.cr0 = kCr0Pg | kCr0Pe | kCr0Et;
  special.cr2 = 0x1234;
  special.cr3 = 0x8000;
  special.cr4 = kCr4Pae;
  special.cr8 = 5;
  special.efer = kEferLme | kEferLma;
  vmcb->control.virtual_interrupt = SvmVirtualInterrupt::kMasking;
  SpecialToVmcb(special, *vmcb);
  EXPECT_EQ(vmcb->save.efer, kEferSvme | kEferLme | kEferLma);
  EXPECT_EQ(vmcb->save.cpl, 3);
  EXPECT_EQ(vmcb->control.virtual_interrupt, SvmVirtualInterrupt::kMasking | 5);
  SpecialRegisters back = {};
  SpecialFromVmcb(*vmcb, back);
  EXPECT_EQ(back.cs.access_rights, special.cs.access_rights);
  EXPECT_EQ(back.fs.base, special.fs.base);
  EXPECT_EQ(back.tr.limit, special.tr.limit);
  EXPECT_EQ(back.gdtr.base, special.gdtr.base);
  EXPECT_EQ(back.idtr.limit, special.idtr.limit);
  EXPECT_EQ(back.cr2, special.cr2);
  EXPECT_EQ(back.cr3, special.cr3);
  EXPECT_EQ(back.cr8, special.cr8);
  EXPECT_EQ(back.efer, special.efer);
}

TEST(VmcbFields, AscendWithoutOverlap) {
  std::uint32_t end = 0;
  for (const VmcbField& field : AllVmcbFields()) {
    EXPECT_GE(field.offset, end) << field.name;
    end = field.offset + field.bytes;
  }
  EXPECT_LE(end, sizeof(Vmcb));
  const std::unique_ptr<Vmcb> vmcb = MakeVmcb();
  vmcb->save.rip = 0x123456789A;
  for (const VmcbField& field : AllVmcbFields()) {
    if (std::strcmp(field.name, "RIP") == 0) {
      EXPECT_EQ(field.offset, 0x578);
      EXPECT_EQ(ReadVmcbField(*vmcb, field), 0x123456789Au);
    }
  }
}

TEST(SvmFailure, DumpNamesTheRuleAndEveryField) {
  std::vector<std::string> lines;
  HostServices host;
  host.context = &lines;
  host.log = [](void* context, const char* line) {
    static_cast<std::vector<std::string>*>(context)->emplace_back(line);
  };
  const std::unique_ptr<Vmcb> vmcb = MakeVmcb();
  vmcb->control.guest_asid = 0;
  // As QEMU has it: 32 of the code's bits.
  DumpVmcb(*vmcb,
           {.kind = SvmFailure::Kind::kInvalid,
            .exit_code = 0xFFFFFFFF,
            .rule = nullptr},
           SvmLimits(), host);
  ASSERT_EQ(lines.size(),
            2 + static_cast<std::size_t>(AllVmcbFields().end() -
                                         AllVmcbFields().begin()));
  EXPECT_EQ(lines[0],
            "VMRUN refused: VMEXIT_INVALID, EXITCODE 0x00000000ffffffff");
  EXPECT_EQ(lines[1], "  broken: asid_zero: the guest's ASID is zero");
}

TEST(SvmMsrMap, TwoBitsForEachOfThreeRanges) {
  std::vector<std::uint8_t> bytes(SvmMsrMap::kBytes);
  SvmMsrMap map(bytes.data());
  map.Set(0x10, true, false);
  map.Set(0xC0000080, false, true);
  map.Set(0xC0010117, true, true);
  EXPECT_EQ(bytes[0x10 / 4], 1);
  EXPECT_EQ(bytes[0x800 + 0x80 / 4], 2);
  EXPECT_EQ(bytes[0x1000 + 0x117 / 4], 3 << 6);
  EXPECT_TRUE(map.Has(0x10, false));
  EXPECT_FALSE(map.Has(0x10, true));
  map.Set(0xC0010117, false, false);
  EXPECT_EQ(bytes[0x1000 + 0x117 / 4], 0);
  EXPECT_FALSE(SvmMsrMap::Covers(0x4B5644FF));
  EXPECT_TRUE(SvmMsrMap::Covers(0x1FFF));
  EXPECT_FALSE(SvmMsrMap::Covers(0x2000));
}

DecodedInstruction Decode(std::vector<std::uint8_t> bytes, CodeSize code) {
  return DecodeIntercepted(bytes.data(), bytes.size(), code);
}

TEST(SvmInstruction, LengthsWithAndWithoutPrefixes) {
  EXPECT_EQ(Decode({0x0F, 0xA2}, CodeSize::k64).length, 2);  // CPUID
  EXPECT_EQ(Decode({0x66, 0x48, 0x0F, 0xA2}, CodeSize::k64).length, 4);  // same
  EXPECT_EQ(Decode({0x0F, 0x01, 0xD9}, CodeSize::k16).length, 3);  // VMMCALL
  EXPECT_EQ(Decode({0xF4}, CodeSize::k32).length, 1);              // HLT
  EXPECT_EQ(Decode({0xF3, 0x90}, CodeSize::k64).length, 2);        // PAUSE
  EXPECT_TRUE(Decode({0x0F, 0x01, 0xF9}, CodeSize::k64).is_rdtscp());
  // 48 is DEC EAX outside 64-bit mode, and no prefix.
  EXPECT_EQ(Decode({0x48, 0x0F, 0xA2}, CodeSize::k32).length, 0);
  // INVLPG (RAX + RBX * 2 + 0x12345678); [BP + DI + 0x1234].
  EXPECT_EQ(
      Decode({0x0F, 0x01, 0xBC, 0x58, 0x78, 0x56, 0x34, 0x12}, CodeSize::k64)
          .length,
      8);
  EXPECT_EQ(Decode({0x0F, 0x01, 0xBB, 0x34, 0x12}, CodeSize::k16).length, 5);
  // Not all of it is there.
  EXPECT_EQ(Decode({0x0F}, CodeSize::k64).length, 0);
  EXPECT_EQ(Decode({0x0F, 0x01, 0xBC, 0x58}, CodeSize::k64).length, 0);
}

TEST(SvmInstruction, OperandOfMovCr) {
  const DecodedInstruction mov =
      Decode({0x41, 0x0F, 0x22, 0xC1}, CodeSize::k64);
  EXPECT_TRUE(mov.is_mov_cr_dr());  // MOV CR0, R9
  EXPECT_EQ(mov.gpr, 9);
  EXPECT_EQ(mov.length, 4);
  EXPECT_FALSE(Decode({0x0F, 0x06}, CodeSize::k64).is_mov_cr_dr());  // CLTS
}

}  // namespace
}  // namespace worldswitch::svm
