// Knobs of the guest's processor and of its MSRs, on the real /dev/kvm: what
// is set is what the guest, or the engine's own answer, then shows.

#include <algorithm>
#include <iostream>
#include <string>

#include "core/features/guest_clock.h"
#include "core/features/irqchip.h"
#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

constexpr std::uint8_t kUdVector = 6;
constexpr std::uint8_t kGpVector = 13;

// The hypercall instruction of the other vendor: KVM writes its own over it, or
// raises #UD.
WS_GUEST(VmcallThenOut, "mov $99, %eax\nvmcall\nout %al, $0xe0\n");
WS_GUEST(VmmcallThenOut, "mov $99, %eax\nvmmcall\nout %al, $0xe0\n");
WS_GUEST(ReportFault, "out %al, $0xe1\n");

// EAX of the leaf in EBX.
WS_GUEST(ReportCpuid,
         "mov %ebx, %eax\n"
         "xor %ecx, %ecx\n"
         "cpuid\n"
         "out %eax, $0xe0\n");

WS_GUEST(WriteTscAdjust,
         "mov $0x3b, %ecx\n"
         "xor %eax, %eax\n"
         "xor %edx, %edx\n"
         "wrmsr\n"
         "out %al, $0xe0\n");

class KvmProcessorKnobsTest : public KvmTest {
 protected:
  absl::Status Make(const KnobSettings& knobs, std::uint32_t vcpus = 1) {
    VmConfig config;
    config.needs = {.memory_bytes = kMemoryBytes, .vcpus = vcpus};
    config.knobs = knobs;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    if (!vm.ok()) return vm.status();
    vm_ = *std::move(vm);
    WriteTables();
    Load(kHandlerGpa, ReportFaultCode());
    SetGate(kUdVector, kHandlerGpa);
    SetGate(kGpVector, kHandlerGpa);
    return absl::OkStatus();
  }
  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void ExpectOut(std::uint16_t port) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, port);
  }
  // Skips where a knob cannot be set, once the refusal said why.
  void NeedKnob(const std::string& name, const std::string& value,
                const std::string& part = "") {
    const Knob* const knob = backend_->knobs().Find(name);
    ASSERT_NE(knob, nullptr);
    if (!knob->not_settable.empty()) {
      EXPECT_THAT(std::string(Make({{name, value}}).message()),
                  HasSubstr(knob->not_settable));
      GTEST_SKIP() << knob->not_settable;
    }
    if (!part.empty() && std::find(knob->choices.begin(), knob->choices.end(),
                                   part) == knob->choices.end()) {
      EXPECT_FALSE(Make({{name, part}}).ok());
      GTEST_SKIP() << "the engine offers no " << name << "=" << part;
    }
  }
};

#define NEED_KNOB(...)   \
  NeedKnob(__VA_ARGS__); \
  if (IsSkipped() || HasFatalFailure()) return

TEST_F(KvmProcessorKnobsTest, ApicIdsHave32Bits) {
  NEED_KNOB("x2apic_api", "32bit_ids", "32bit_ids");
  constexpr std::uint32_t kApicBase = 0x1b;
  constexpr std::uint64_t kX2apicOn = 0xfee00c00;
  constexpr std::uint32_t kIdRegister = 0x20;
  for (const bool wide : {false, true, false}) {
    ASSERT_TRUE(Make({{"irqchip", "split"},
                      {"x2apic_api", wide ? "32bit_ids" : "none"}},
                     2)
                    .ok());
    absl::Status status = vcpu(1).SetMsrs(
        {kvm_msr_entry{.index = kApicBase, .reserved = 0, .data = kX2apicOn}});
    ASSERT_TRUE(status.ok()) << status;
    LapicState state = {};
    ASSERT_EQ(FeatureOf<Irqchip>(*vm_)->get_lapic(1, &state), Result::kOk);
    EXPECT_EQ(state.Get(kIdRegister), wide ? 1u : 1u << 24);
  }
}

TEST_F(KvmProcessorKnobsTest, X2apicNeedsAnApic) {
  NEED_KNOB("x2apic_api", "32bit_ids", "32bit_ids");
  const absl::Status status = Make({{"x2apic_api", "32bit_ids"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("irqchip=split"));
}

TEST_F(KvmProcessorKnobsTest, WithoutPmuCpuidTellsOfNone) {
  NEED_KNOB("pmu", "off");
  constexpr std::uint32_t kPmuLeaf = 0xA;
  ASSERT_TRUE(Make({{"pmu", "off"}}).ok());
  Start(ReportCpuidCode());
  general().rbx = kPmuLeaf;
  vcpu().registers().dirty = kGeneralRegisters;
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  std::uint32_t eax = ~0u;
  std::memcpy(&eax, exit.io.data, sizeof(eax));
  EXPECT_EQ(eax & 0xFFFF, 0u) << "version and number of counters";
}

TEST_F(KvmProcessorKnobsTest, WithoutTheQuirkTheOtherVendorsCallFaults) {
  NEED_KNOB("disable_quirks", "fix_hypercall_insn", "fix_hypercall_insn");
  const bool amd = __builtin_cpu_is("amd") != 0;
  ASSERT_TRUE(Make({{"disable_quirks", "fix_hypercall_insn"}}).ok());
  Start(amd ? VmcallThenOutCode() : VmmcallThenOutCode());
  ExpectOut(0xe1);
}

TEST_F(KvmProcessorKnobsTest, EveryQuirkThatIsOfferedCanBeTurnedOff) {
  const Knob* const knob = backend_->knobs().Find("disable_quirks");
  ASSERT_NE(knob, nullptr);
  if (!knob->not_settable.empty()) GTEST_SKIP() << knob->not_settable;
  std::string all;
  for (const std::string& quirk : knob->choices) {
    const absl::Status status = Make({{"disable_quirks", quirk}});
    EXPECT_TRUE(status.ok()) << status;
    all += (all.empty() ? "" : "+") + quirk;
  }
  EXPECT_TRUE(Make({{"disable_quirks", all}}).ok()) << all;
  EXPECT_FALSE(Make({{"disable_quirks", "lint0"}}).ok());
}

// Taken means that the guest's TSC was seen to go at that rate; an engine that
// says yes and goes on as before is refused.
TEST_F(KvmProcessorKnobsTest, ATscRateIsTakenOrRefusedAndNotIgnored) {
  NEED_KNOB("tsc_khz", "1000000");
  ASSERT_TRUE(Make({}).ok());
  const OptionalValue host = FeatureOf<GuestClock>(*vm_)->tsc_khz(0);
  ASSERT_TRUE(host.known);
  const bool shared = vm_->has(Capability::kSharedTimeStamp);
  for (const std::uint64_t khz : {host.value * 2, host.value / 2}) {
    const absl::Status status = Make({{"tsc_khz", std::to_string(khz)}}, 2);
    std::cout << "tsc_khz=" << khz << ": " << status << "\n";
    if (!status.ok()) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("KVM_SET_TSC_KHZ"));
      continue;
    }
    EXPECT_EQ(FeatureOf<GuestClock>(*vm_)->tsc_khz(0).value, khz);
    EXPECT_EQ(FeatureOf<GuestClock>(*vm_)->tsc_khz(1).value, khz);
    EXPECT_FALSE(vm_->has(Capability::kSharedTimeStamp));
  }
  // The rate that it has anyway.
  ASSERT_TRUE(Make({{"tsc_khz", std::to_string(host.value)}}).ok());
  EXPECT_EQ(vm_->has(Capability::kSharedTimeStamp), shared);
}

TEST_F(KvmProcessorKnobsTest, ADeniedMsrFaultsUnlessItIsAnExit) {
  NEED_KNOB("msr_deny", "0x3b");
  ASSERT_TRUE(Make({{"msr_deny", "0x3b"}}).ok());
  Start(WriteTscAdjustCode());
  ExpectOut(0xe1);
  ASSERT_TRUE(
      Make({{"msr_deny", "59"}, {"msr_exits", "filtered+unknown"}}).ok());
  Start(WriteTscAdjustCode());
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kWrmsr) << ExitReasonName(exit.reason);
  EXPECT_EQ(exit.msr.index, 0x3bu);
  *exit.msr.inject_gp = 0;
  ExpectOut(0xe0);
  // Of another MSR than the guest's.
  ASSERT_TRUE(Make({{"msr_deny", "0x10"}}).ok());
  Start(WriteTscAdjustCode());
  ExpectOut(0xe0);
}

TEST_F(KvmProcessorKnobsTest, TheX2apicsMsrsCannotBeDenied) {
  NEED_KNOB("msr_deny", "0x3b");
  for (const char* msr : {"0x800", "0x8ff"}) {
    const absl::Status status = Make({{"msr_deny", msr}});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("x2APIC"));
  }
  EXPECT_TRUE(Make({{"msr_deny", "0x900"}}).ok());
  EXPECT_FALSE(Make({{"msr_deny", "0x100000000"}}).ok());
}

}  // namespace
}  // namespace worldswitch
