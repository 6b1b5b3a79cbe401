// The parts of native VMX that can be shown without VMX: names and encodings,
// what is negotiated with recorded processors, how events combine, and that the
// tables of knobs and of provoked failures are what they claim to be.

#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/vmx_intel/native/vmcs_field.h"
#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_controls.h"
#include "backends/vmx_intel/native/vmx_events.h"
#include "backends/vmx_intel/native/vmx_failure.h"
#include "backends/vmx_intel/native/vmx_guest_state.h"
#include "backends/vmx_intel/native/vmx_native_knobs.h"
#include "backends/vmx_intel/native/vmx_wishes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Word = VmxControlWord;
using MsrValues = std::vector<std::pair<VmxMsr, std::uint64_t>>;

VmxCapabilities Capabilities(const MsrValues& values) {
  VmxCapabilities vmx;
  for (const auto& [msr, value] : values) vmx.Set(msr, value);
  return vmx;
}

// Bochs 2.7, corei7_haswell_4770, as its guest reads them.
const MsrValues& BochsHaswell() {
  static const auto* const values =
      new MsrValues{{VmxMsr::kBasic, 0xd810000000002b},
                    {VmxMsr::kPinBased, 0x7f00000016},
                    {VmxMsr::kProcBased, 0xf7f9fffe0401e172},
                    {VmxMsr::kExit, 0x7fffff00036dff},
                    {VmxMsr::kEntry, 0xffff000011ff},
                    {VmxMsr::kMisc, 0x200401e0},
                    {VmxMsr::kCr0Fixed0, 0x80000021},
                    {VmxMsr::kCr0Fixed1, 0xffffffff},
                    {VmxMsr::kCr4Fixed0, 0x2000},
                    {VmxMsr::kCr4Fixed1, 0x1727ff},
                    {VmxMsr::kVmcsEnum, 0x34},
                    {VmxMsr::kProcBased2, 0x47fff00000000},
                    {VmxMsr::kEptVpidCap, 0xf0106334141},
                    {VmxMsr::kTruePinBased, 0x7f00000016},
                    {VmxMsr::kTrueProcBased, 0xf7f9fffe04006172},
                    {VmxMsr::kTrueExit, 0x7fffff00036dfb},
                    {VmxMsr::kTrueEntry, 0xffff000011fb},
                    {VmxMsr::kVmfunc, 0x1}};
  return *values;
}

// A Core 2, from before EPT and the TRUE MSRs: what of it matters here.
const MsrValues& Core2() {
  static const auto* const values =
      new MsrValues{{VmxMsr::kBasic, 0x5a08000000000d},
                    {VmxMsr::kPinBased, 0x3f00000016},
                    {VmxMsr::kProcBased, 0xf7f9fffe0401e172},
                    {VmxMsr::kExit, 0x3ffff00036dff},
                    {VmxMsr::kEntry, 0x3fff000011ff},
                    {VmxMsr::kProcBased2, 0x4100000000}};
  return *values;
}

// ---- Fields -----------------------------------------------------------------

TEST(VmcsField, EncodingsAreWellFormedAndThereOnce) {
  std::set<std::uint32_t> encodings;
  std::set<std::string> names;
  for (const VmcsFieldInfo& info : AllVmcsFields()) {
    const auto encoding = static_cast<std::uint32_t>(info.field);
    EXPECT_TRUE(encodings.insert(encoding).second) << info.name;
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    // Bits 31:15 and 12 are reserved; whole fields, no high halves.
    EXPECT_EQ(encoding & ~0x6fffu, 0u) << info.name;
    EXPECT_FALSE(IsHighHalf(info.field)) << info.name;
    EXPECT_STREQ(VmcsFieldName(info.field), info.name);
  }
  EXPECT_EQ(encodings.size(), AllVmcsFields().size());
  EXPECT_EQ(VmcsFieldName(static_cast<VmcsField>(0x6bfe)), nullptr);
}

TEST(VmcsField, KindsAreThoseOfTheirNames) {
  for (const VmcsFieldInfo& info : AllVmcsFields()) {
    const std::string name = info.name;
    const VmcsKind kind = KindOf(info.field);
    if (name.starts_with("host ")) {
      EXPECT_EQ(kind, VmcsKind::kHostState) << name;
    } else if (name == "guest-physical address" ||
               name == "guest-linear address" || name.starts_with("I/O R") ||
               name.starts_with("VM-exit in") || name == "exit reason" ||
               name.starts_with("IDT-vectoring") ||
               name == "VM-instruction error" || name == "exit qualification") {
      EXPECT_EQ(kind, VmcsKind::kExitInformation) << name;
    } else if (name.starts_with("guest ") || name == "VMCS link pointer" ||
               name == "PML index" || name == "VMX-preemption timer value") {
      EXPECT_EQ(kind, VmcsKind::kGuestState) << name;
    } else {
      EXPECT_EQ(kind, VmcsKind::kControl) << name;
    }
  }
}

TEST(VmcsField, WidthsAreThoseOfWhatTheyHold) {
  for (const VmcsFieldInfo& info : AllVmcsFields()) {
    const std::string name = info.name;
    const VmcsWidth width = WidthOf(info.field);
    if (name.ends_with(" selector")) {
      EXPECT_EQ(width, VmcsWidth::k16) << name;
    } else if (name.ends_with(" base") || name.ends_with(" RIP") ||
               name.ends_with(" RSP") || name.starts_with("guest CR") ||
               name.starts_with("host CR") || name.ends_with("shadow") ||
               name.ends_with("SYSENTER_ESP") ||
               name.ends_with("SYSENTER_EIP")) {
      EXPECT_EQ(width, VmcsWidth::kNatural) << name;
    } else if (name.ends_with(" limit") || name.ends_with(" access rights") ||
               name.ends_with(" controls") || name.ends_with(" count") ||
               name.ends_with("SYSENTER_CS")) {
      EXPECT_EQ(width, info.field == VmcsField::kVmFunctionControls
                           ? VmcsWidth::k64
                           : VmcsWidth::k32)
          << name;
    } else if (name.ends_with(" address") &&
               info.field != VmcsField::kGuestLinearAddress) {
      EXPECT_EQ(width, VmcsWidth::k64) << name;
    }
  }
}

TEST(VmcsField, SegmentsFollowEachOther) {
  const std::pair<VmcsSegment, VmcsField> bases[] = {
      {VmcsSegment::kEs, VmcsField::kGuestEsBase},
      {VmcsSegment::kCs, VmcsField::kGuestCsBase},
      {VmcsSegment::kSs, VmcsField::kGuestSsBase},
      {VmcsSegment::kDs, VmcsField::kGuestDsBase},
      {VmcsSegment::kFs, VmcsField::kGuestFsBase},
      {VmcsSegment::kGs, VmcsField::kGuestGsBase},
      {VmcsSegment::kLdtr, VmcsField::kGuestLdtrBase},
      {VmcsSegment::kTr, VmcsField::kGuestTrBase}};
  for (const auto& [segment, field] : bases) {
    EXPECT_EQ(SegmentField(VmcsField::kGuestEsBase, segment), field);
  }
  EXPECT_EQ(SegmentField(VmcsField::kGuestEsAccessRights, VmcsSegment::kTr),
            VmcsField::kGuestTrAccessRights);
  EXPECT_EQ(SegmentField(VmcsField::kGuestEsSelector, VmcsSegment::kLdtr),
            VmcsField::kGuestLdtrSelector);
  EXPECT_EQ(SegmentField(VmcsField::kGuestEsLimit, VmcsSegment::kGs),
            VmcsField::kGuestGsLimit);
}

// ---- Controls ---------------------------------------------------------------

NativeKnobValues Knobs(const std::vector<std::string>& settings = {}) {
  NativeKnobValues knobs(VmxNativeKnobs());
  for (const std::string& setting : settings) {
    EXPECT_EQ(knobs.Set(setting.data(), setting.size()), KnobParse::kOk)
        << setting;
  }
  return knobs;
}

bool IsSet(const VmxPerWord<std::uint32_t>& words, Word word, unsigned bit) {
  return (words[word] >> bit & 1) != 0;
}

TEST(VmxControls, AProcessorWithAllOfThemRefusesNothing) {
  const VmxControlPlan plan =
      NegotiateControls(Capabilities(BochsHaswell()), WishesOf(Knobs()));
  ASSERT_TRUE(plan.possible);
  for (const Word word : {Word::kPin, Word::kPrimary, Word::kSecondary,
                          Word::kExit, Word::kEntry}) {
    EXPECT_EQ(plan.refused[word], 0u) << VmxControlWordName(word);
  }
  // What the image reports of the same CPU.
  EXPECT_EQ(plan.value[Word::kPin], 0x3fu);
  EXPECT_EQ(plan.value[Word::kPrimary], 0xb59865f2u);
  EXPECT_EQ(plan.value[Word::kSecondary], 0x10eau);
  EXPECT_EQ(plan.value[Word::kExit], 0x3fefffu);
  EXPECT_EQ(plan.value[Word::kEntry], 0xd1ffu);
}

TEST(VmxControls, ValuesAreWhatAnEntryAllows) {
  const VmxCapabilities capabilities = Capabilities(BochsHaswell());
  const VmxControlPlan plan =
      NegotiateControls(capabilities, WishesOf(Knobs()));
  for (const Word word : {Word::kPin, Word::kPrimary, Word::kSecondary,
                          Word::kExit, Word::kEntry}) {
    const VmxControls allowed = capabilities.Controls(GroupOf(word));
    EXPECT_EQ(plan.value[word] & ~allowed.may_be_1, 0u);
    EXPECT_EQ(~plan.value[word] & allowed.must_be_1, 0u);
  }
}

TEST(VmxControls, WhatIsRequiredAndMissingIsNamed) {
  VmxControlPlan plan =
      NegotiateControls(Capabilities(Core2()), WishesOf(Knobs()));
  EXPECT_FALSE(plan.possible);
  EXPECT_EQ(plan.missing_word, Word::kSecondary);
  EXPECT_EQ(plan.missing_bit, vmx::kEnableEpt);
  EXPECT_STREQ(VmxControlName(plan.missing_word, plan.missing_bit),
               "Enable EPT");

  // EPT, and no unrestricted guest: an early Core i7.
  VmxCapabilities no_unrestricted = Capabilities(BochsHaswell());
  no_unrestricted.Set(VmxMsr::kProcBased2, 0x6f00000000);
  plan = NegotiateControls(no_unrestricted, WishesOf(Knobs()));
  EXPECT_FALSE(plan.possible);
  EXPECT_STREQ(VmxControlName(plan.missing_word, plan.missing_bit),
               "Unrestricted guest");

  EXPECT_FALSE(NegotiateControls({}, WishesOf(Knobs())).possible);
}

TEST(VmxControls, WhatIsOptionalAndMissingIsReported) {
  VmxCapabilities capabilities = Capabilities(BochsHaswell());
  // Without VPID, RDTSCP and INVPCID.
  capabilities.Set(VmxMsr::kProcBased2, 0x46fd700000000 & ~(0x28ull << 32));
  const VmxControlPlan plan =
      NegotiateControls(capabilities, WishesOf(Knobs()));
  ASSERT_TRUE(plan.possible);
  EXPECT_TRUE(IsSet(plan.refused, Word::kSecondary, vmx::kEnableVpid));
  EXPECT_TRUE(IsSet(plan.refused, Word::kSecondary, vmx::kEnableRdtscp));
  EXPECT_FALSE(IsSet(plan.value, Word::kSecondary, vmx::kEnableVpid));
}

TEST(VmxControls, WithoutTheTrueMsrsTheCr3ExitsAreForced) {
  MsrValues values = BochsHaswell();
  std::erase_if(values, [](const auto& value) {
    return value.first >= VmxMsr::kTruePinBased &&
           value.first <= VmxMsr::kTrueEntry;
  });
  const VmxCapabilities capabilities = Capabilities(values);
  const VmxControlPlan plan =
      NegotiateControls(capabilities, WishesOf(Knobs()));
  ASSERT_TRUE(plan.possible);
  EXPECT_TRUE(IsSet(plan.forced, Word::kPrimary, vmx::kCr3LoadExiting));
  EXPECT_TRUE(IsSet(plan.forced, Word::kPrimary, vmx::kCr3StoreExiting));
}

TEST(VmxControls, KnobsTurnTheirBits) {
  const VmxCapabilities capabilities = Capabilities(BochsHaswell());
  const struct {
    const char* off;
    const char* on;
    Word word;
    unsigned bit;
  } knobs[] = {
      {"vpid=off", "vpid=on", Word::kSecondary, vmx::kEnableVpid},
      {"ple_gap=0", "ple_gap=128", Word::kSecondary, vmx::kPauseLoopExiting},
      {"ack_interrupt_on_exit=off", "ack_interrupt_on_exit=on", Word::kExit,
       vmx::kExitAcknowledge},
      {"efer_switching=off", "efer_switching=on", Word::kExit,
       vmx::kExitLoadEfer},
      {"efer_switching=off", "efer_switching=on", Word::kEntry,
       vmx::kEntryLoadEfer},
      {"pat_switching=off", "pat_switching=on", Word::kExit, vmx::kExitSavePat},
      {"pat_switching=off", "pat_switching=on", Word::kEntry,
       vmx::kEntryLoadPat},
      {"msr_bitmap=off", "msr_bitmap=all", Word::kPrimary, vmx::kUseMsrBitmaps},
      {"io_bitmap=off", "io_bitmap=on", Word::kPrimary, vmx::kUseIoBitmaps},
      {"io_bitmap=on", "io_bitmap=off", Word::kPrimary, vmx::kUnconditionalIo},
  };
  for (const auto& knob : knobs) {
    SCOPED_TRACE(knob.on);
    const VmxControlPlan off =
        NegotiateControls(capabilities, WishesOf(Knobs({knob.off})));
    const VmxControlPlan on =
        NegotiateControls(capabilities, WishesOf(Knobs({knob.on})));
    ASSERT_TRUE(off.possible && on.possible);
    EXPECT_FALSE(IsSet(off.value, knob.word, knob.bit));
    EXPECT_TRUE(IsSet(on.value, knob.word, knob.bit));
  }
}

TEST(VmxKnobs, AreWellFormed) {
  const NativeKnobTable table = VmxNativeKnobs();
  ASSERT_EQ(table.size, static_cast<std::size_t>(VmxKnob::kCount));
  std::set<std::string> names;
  for (std::size_t i = 0; i < table.size; ++i) {
    const NativeKnob& knob = table.knobs[i];
    EXPECT_TRUE(names.insert(knob.name).second) << knob.name;
    EXPECT_STRNE(knob.meaning, "") << knob.name;
    EXPECT_STRNE(knob.applied_by, "") << knob.name;
    if (knob.choices[0] != nullptr) {
      ASSERT_LT(knob.default_value, kMaxKnobChoices) << knob.name;
      EXPECT_NE(knob.choices[knob.default_value], nullptr) << knob.name;
    } else {
      EXPECT_LE(knob.minimum, knob.default_value) << knob.name;
      EXPECT_LE(knob.default_value, knob.maximum) << knob.name;
      EXPECT_STRNE(knob.unit, "") << knob.name;
    }
  }
}

// ---- Control registers ------------------------------------------------------

TEST(VmxFixedBits, AreKeptFromTheGuest) {
  const VmxFixedBits fixed(Capabilities(BochsHaswell()));
  // Real mode: NE is set behind the guest's back, PE and PG are its own.
  EXPECT_EQ(fixed.Cr0(x86::kCr0Et), x86::kCr0Et | x86::kCr0Ne);
  // The caches stay the host's.
  EXPECT_EQ(fixed.Cr0(x86::kCr0Cd | x86::kCr0Nw), x86::kCr0Ne);
  EXPECT_EQ(fixed.cr0_mask(), x86::kCr0Ne | x86::kCr0Cd | x86::kCr0Nw);
  EXPECT_EQ(fixed.Cr4(0), x86::kCr4Vmxe);
  EXPECT_EQ(fixed.cr4_mask(), x86::kCr4Vmxe);
}

TEST(VmxFixedBits, ValuesThatNoGuestHasAreRefused) {
  const VmxFixedBits fixed(Capabilities(BochsHaswell()));
  EXPECT_TRUE(fixed.Cr0Valid(0));
  EXPECT_TRUE(fixed.Cr0Valid(0x8005003b));
  EXPECT_TRUE(fixed.Cr0Valid(x86::kCr0Cd | x86::kCr0Nw));
  EXPECT_FALSE(fixed.Cr0Valid(x86::kCr0Pg));
  EXPECT_FALSE(fixed.Cr0Valid(x86::kCr0Nw));
  EXPECT_FALSE(fixed.Cr0Valid(std::uint64_t{1} << 32));
  EXPECT_FALSE(fixed.Cr0Valid(1u << 6));
  EXPECT_TRUE(fixed.Cr4Valid(x86::kCr4Pae));
  EXPECT_FALSE(fixed.Cr4Valid(x86::kCr4Vmxe)) << "the guest has no VMX";
  EXPECT_FALSE(fixed.Cr4Valid(1u << 14)) << "nor SMX: not in CR4_FIXED1";
  EXPECT_FALSE(fixed.Cr4Valid(std::uint64_t{1} << 32));
}

// ---- Events -----------------------------------------------------------------

Event Exception(std::uint8_t vector, bool has_error_code = false,
                std::uint32_t error_code = 0) {
  return {.kind = EventKind::kException,
          .vector = vector,
          .has_error_code = has_error_code,
          .error_code = error_code};
}

TEST(VmxEvents, AsTheEntryTakesThem) {
  EXPECT_EQ(
      EntryEventOf({.kind = EventKind::kIrq, .vector = 0x51}, true).information,
      0x80000051u);
  EXPECT_EQ(
      EntryEventOf({.kind = EventKind::kNmi, .vector = 2}, true).information,
      0x80000202u);
  const VmxEntryEvent fault = EntryEventOf(Exception(13, true, 0x18), true);
  EXPECT_EQ(fault.information, 0x80000b0du);
  EXPECT_EQ(fault.error_code, 0x18u);
  EXPECT_EQ(fault.type(), VmxEventType::kHardwareException);
  EXPECT_EQ(fault.vector(), 13);
  // Real mode pushes no error codes.
  EXPECT_EQ(EntryEventOf(Exception(13, true, 0x18), false).information,
            0x8000030du);
}

TEST(VmxEvents, ErrorCodesGoWithTheirVectors) {
  const std::set<unsigned> with_code = {8, 10, 11, 12, 13, 14, 17, 21};
  for (std::uint8_t vector = 0; vector < 32; ++vector) {
    const bool has = with_code.contains(vector);
    EXPECT_EQ(ErrorCodeFits(Exception(vector, true), true, false), has);
    EXPECT_EQ(ErrorCodeFits(Exception(vector, false), true, false), !has);
    EXPECT_TRUE(ErrorCodeFits(Exception(vector, true), false, false));
    EXPECT_TRUE(ErrorCodeFits(Exception(vector, true), true, true));
    EXPECT_TRUE(ErrorCodeFits(Exception(vector, false), true, true));
  }
}

// SDM 3A, table "Conditions for Generating a Double Fault".
TEST(VmxEvents, CombineAsTheManualSays) {
  constexpr std::uint8_t kDe = 0;
  constexpr std::uint8_t kUd = 6;
  constexpr std::uint8_t kDf = 8;
  constexpr std::uint8_t kGp = 13;
  constexpr std::uint8_t kPf = 14;
  const auto after = [](std::uint8_t first, std::uint8_t second) {
    return Combine(EntryEventOf(Exception(first), false), second);
  };
  EXPECT_EQ(after(kUd, kGp), VmxCombined::kSecond);
  EXPECT_EQ(after(kUd, kPf), VmxCombined::kSecond);
  EXPECT_EQ(after(kGp, kUd), VmxCombined::kSecond);
  EXPECT_EQ(after(kGp, kPf), VmxCombined::kSecond);
  EXPECT_EQ(after(kGp, kGp), VmxCombined::kDoubleFault);
  EXPECT_EQ(after(kDe, kGp), VmxCombined::kDoubleFault);
  EXPECT_EQ(after(kPf, kPf), VmxCombined::kDoubleFault);
  EXPECT_EQ(after(kPf, kGp), VmxCombined::kDoubleFault);
  EXPECT_EQ(after(kPf, kUd), VmxCombined::kSecond);
  EXPECT_EQ(after(kDf, kGp), VmxCombined::kTripleFault);
  EXPECT_EQ(after(kDf, kPf), VmxCombined::kTripleFault);
  EXPECT_EQ(after(kDf, kUd), VmxCombined::kSecond);
  const VmxEntryEvent irq =
      EntryEventOf({.kind = EventKind::kIrq, .vector = 0x40}, true);
  EXPECT_EQ(Combine(irq, kPf), VmxCombined::kSecondFirst);
  const VmxEntryEvent int_n = {.information = 0x80000000u | 4 << 8 | 0x80};
  EXPECT_EQ(Combine(int_n, kGp), VmxCombined::kSecond);
}

// ---- Failures ---------------------------------------------------------------

TEST(VmxFailure, IsNamed) {
  EXPECT_STREQ(
      TextOf(VmxEntryFailure{.kind = VmxEntryFailure::Kind::kFailInvalid})
          .c_str(),
      "VMfailInvalid: there is no current VMCS");
  EXPECT_THAT(TextOf(VmxEntryFailure{.kind = VmxEntryFailure::Kind::kFailValid,
                                     .instruction_error = 7})
                  .c_str(),
              StartsWith("VMfailValid 7: VM entry with invalid control"));
  EXPECT_THAT(
      TextOf(VmxEntryFailure{.kind = VmxEntryFailure::Kind::kEntryFailed,
                             .exit_reason = 0x80000021,
                             .qualification = 4})
          .c_str(),
      HasSubstr("the VMCS link pointer"));
}

TEST(VmxFailure, IsAnExit) {
  Exit exit = ExitOf(
      {.kind = VmxEntryFailure::Kind::kFailValid, .instruction_error = 8});
  EXPECT_EQ(exit.reason, ExitReason::kEntryFailure);
  EXPECT_EQ(exit.entry_failure.hardware_reason, 8u);
  exit = ExitOf({.kind = VmxEntryFailure::Kind::kEntryFailed,
                 .exit_reason = 0x80000022,
                 .qualification = 1});
  EXPECT_EQ(exit.raw, 34u);
  EXPECT_EQ(exit.entry_failure.hardware_reason, 0x80000022u);
}

std::vector<VmxCheckCase> AllCases() {
  std::vector<VmxCheckCase> all;
  for (const auto& cases : {VmxControlCases(), VmxHostCases(), VmxGuestCases(),
                            VmxSegmentCases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

TEST(VmxCheckCases, AreNamedOnceAndWriteSomething) {
  std::set<std::string> names;
  for (const VmxCheckCase& check : AllCases()) {
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
    EXPECT_NE(check.writes[0].how, VmxCheckWrite::How::kNothing) << check.name;
    EXPECT_NE(check.expected.kind, VmxEntryFailure::Kind::kNone) << check.name;
    for (const VmxCheckWrite& write : check.writes) {
      if (write.how == VmxCheckWrite::How::kNothing) continue;
      const auto field = static_cast<VmcsField>(write.field);
      EXPECT_NE(VmcsFieldName(field), nullptr) << check.name;
      EXPECT_NE(KindOf(field), VmcsKind::kExitInformation) << check.name;
    }
  }
  EXPECT_GT(names.size(), 200u);
}

TEST(VmxCheckCases, EveryHostFieldIsMadeWrongAtLeastOnce) {
  std::set<std::uint16_t> written;
  for (const VmxCheckCase& check : VmxHostCases()) {
    for (const VmxCheckWrite& write : check.writes) written.insert(write.field);
  }
  for (const VmcsFieldInfo& info : AllVmcsFields()) {
    if (KindOf(info.field) != VmcsKind::kHostState) continue;
    // Nothing is wrong with any value of these two (with a 64-bit host), and
    // the third is of CPUs with performance counters to switch.
    if (info.field == VmcsField::kHostRsp ||
        info.field == VmcsField::kHostSysenterCs ||
        info.field == VmcsField::kHostPerfGlobalCtrl) {
      continue;
    }
    EXPECT_TRUE(written.contains(static_cast<std::uint16_t>(info.field)))
        << info.name;
  }
}

TEST(VmxDeviations, AreOfCasesThereAreAndSayWhy) {
  std::set<std::string> names;
  std::map<std::string, VmxCheckOutcome> expected;
  for (const VmxCheckCase& check : AllCases()) {
    expected[check.name] = check.expected;
  }
  for (const VmxDeviation& deviation : VmxDeviations()) {
    EXPECT_TRUE(names.insert(deviation.name).second) << deviation.name;
    EXPECT_STRNE(deviation.reason, "") << deviation.name;
    EXPECT_EQ(FindVmxDeviation(deviation.name), &deviation);
    if (std::string(deviation.name).starts_with("instruction.")) continue;
    ASSERT_TRUE(expected.contains(deviation.name)) << deviation.name;
    EXPECT_FALSE(expected[deviation.name] == deviation.seen) << deviation.name;
  }
  EXPECT_EQ(FindVmxDeviation("no.such.case"), nullptr);
}

}  // namespace
}  // namespace worldswitch
