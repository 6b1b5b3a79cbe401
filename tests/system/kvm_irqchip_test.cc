// Interrupts through the controllers that KVM emulates, on the real /dev/kvm.

#include <atomic>
#include <chrono>
#include <thread>

#include "core/features/irqchip.h"
#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kCount = 0x6000;  // what the handler counts up
constexpr std::uint16_t kDonePort = 0xe1;
constexpr std::uint8_t kVector = 0x41;
constexpr std::uint32_t kGsi = 24;
constexpr std::uint32_t kPin = 5;

WS_GUEST(CountAndEnd,
         "incl 0x6000\n"
         "mov $0x80b, %ecx\n"  // EOI
         "xor %eax, %eax\n"
         "xor %edx, %edx\n"
         "wrmsr\n"
         "iretq\n");

// One OUT for each interrupt.
WS_GUEST(AwaitInterrupts,
         "sti\n"
         "1: cmpl $0, 0x6000\n"
         "je 1b\n"
         "movl $0, 0x6000\n"
         "out %al, $0xe1\n"
         "jmp 1b\n");

// INIT and SIPI with vector 0x12 to APIC 1, then OUT.
WS_GUEST(StartOther,
         "mov $0x830, %ecx\n"
         "mov $1, %edx\n"
         "mov $0x4500, %eax\n"
         "wrmsr\n"
         "mov $0x4612, %eax\n"
         "wrmsr\n"
         "out %al, $0xe1\n");
constexpr std::uint64_t kApCode = 0x12000;

WS_GUEST(HaltThenOut,
         "hlt\n"
         "out %al, $0xe1\n");

// In SMM, entered at SMBASE + 0x8000 in real-address mode.
WS_GUEST(SmmHandler,
         "out %al, $0xe2\n"
         "rsm\n");
constexpr std::uint64_t kSmmCode = 0x38000;
constexpr std::uint16_t kSmmPort = 0xe2;

WS_GUEST(OutForEver,
         "1: out %al, $0xe1\n"
         "jmp 1b\n");

class KvmIrqchipTest : public KvmTest {
 protected:
  // Makes a VM whose vCPUs' local APICs are on, in x2APIC mode.
  void MakeWith(const KnobSettings& knobs, std::uint32_t vcpus = 1) {
    if (const Knob* knob = backend_->knobs().Find("irqchip");
        !knob->not_settable.empty()) {
      GTEST_SKIP() << knob->not_settable;
    }
    VmConfig config;
    config.needs = {.memory_bytes = kMemoryBytes, .vcpus = vcpus};
    config.knobs = knobs;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    ASSERT_TRUE(vm.ok()) << vm.status();
    vm_ = *std::move(vm);
    WriteTables();
    SetGate(kVector, kHandlerGpa);
    Load(kHandlerGpa, CountAndEndCode());
    chip_ = FeatureOf<Irqchip>(*vm_);
    ASSERT_NE(chip_, nullptr);
    for (std::uint32_t i = 0; i < vcpus; ++i) TurnOn(i);
  }

  void TurnOn(std::uint32_t index) {
    KvmVcpu& target = vcpu(index);
    ASSERT_EQ(target.fetch_registers(kAllRegisters), Result::kOk);
    target.registers().special.apic_base |= 0xC00;
    target.registers().dirty = kSpecialRegisters;
    ASSERT_EQ(target.commit_registers(), Result::kOk) << target.last_error();
    LapicState lapic;
    ASSERT_EQ(chip_->get_lapic(index, &lapic), Result::kOk);
    lapic.Set(0xF0, 0x1FF);
    lapic.Set(0x350, 0x10000);  // LINT0 masked: the PICs, not set up, are on it
    ASSERT_EQ(chip_->set_lapic(index, lapic), Result::kOk);
  }

  void ExpectDone() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, kDonePort);
  }

  Irqchip* chip_ = nullptr;
};

TEST_F(KvmIrqchipTest, MessageReachesTheHandler) {
  MakeWith({{"irqchip", "split"}});
  if (IsSkipped()) return;
  EXPECT_EQ(chip_->kind(), IrqchipKind::kSplit);
  Start(AwaitInterruptsCode());
  for (int i = 0; i < 3; ++i) {
    bool delivered = false;
    ASSERT_EQ(chip_->signal_msi(FixedMsi(0, kVector), &delivered), Result::kOk);
    EXPECT_TRUE(delivered);
    ExpectDone();
  }
  bool delivered = true;
  chip_->signal_msi(FixedMsi(77, kVector), &delivered);
  EXPECT_FALSE(delivered) << "nobody has that APIC id";
}

TEST_F(KvmIrqchipTest, RoutedIrqfdReachesTheHandler) {
  MakeWith({{"irqchip", "split"}});
  if (IsSkipped()) return;
  Start(AwaitInterruptsCode());
  const IrqRoute route = {.gsi = kGsi,
                          .target = IrqTarget::kMsi,
                          .pin = 0,
                          .msi = FixedMsi(0, kVector)};
  ASSERT_EQ(chip_->set_routing(&route, 1), Result::kOk) << chip_->last_error();
  IrqfdToken token = 99;
  ASSERT_EQ(chip_->add_irqfd(kGsi, &token), Result::kOk) << chip_->last_error();
  EXPECT_EQ(token, 0u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(chip_->signal_irqfd(token), Result::kOk);
    ExpectDone();
  }
  EXPECT_EQ(chip_->resamples(token), 0u);
  ASSERT_EQ(chip_->remove_irqfd(token), Result::kOk);
  EXPECT_EQ(chip_->signal_irqfd(token), Result::kError);
  EXPECT_EQ(chip_->last_error(), EINVAL);
  EXPECT_EQ(chip_->remove_irqfd(token), Result::kError);
}

TEST_F(KvmIrqchipTest, LineGoesThroughTheIoapic) {
  MakeWith({{"irqchip", "full"}});
  if (IsSkipped()) return;
  EXPECT_EQ(chip_->kind(), IrqchipKind::kFull);
  IoapicState ioapic;
  ASSERT_EQ(chip_->get_ioapic(&ioapic), Result::kOk);
  ioapic.redirection[kPin] = kVector;  // fixed, physical, edge, to APIC 0
  ASSERT_EQ(chip_->set_ioapic(ioapic), Result::kOk) << chip_->last_error();
  Start(AwaitInterruptsCode());
  ASSERT_EQ(chip_->set_irq_line(kPin, true), Result::kOk);
  ASSERT_EQ(chip_->set_irq_line(kPin, false), Result::kOk);
  ExpectDone();
}

TEST_F(KvmIrqchipTest, EndOfInterruptResamples) {
  MakeWith({{"irqchip", "full"}});
  if (IsSkipped()) return;
  constexpr std::uint64_t kLevel = 1u << 15;
  IoapicState ioapic;
  ASSERT_EQ(chip_->get_ioapic(&ioapic), Result::kOk);
  ioapic.redirection[kPin] = kVector | kLevel;
  ASSERT_EQ(chip_->set_ioapic(ioapic), Result::kOk);
  Start(AwaitInterruptsCode());
  IrqfdToken token = 0;
  const Result added = chip_->add_resample_irqfd(kPin, &token);
  if (added == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_IRQFD_RESAMPLE";
  }
  ASSERT_EQ(added, Result::kOk) << chip_->last_error();
  EXPECT_EQ(chip_->resamples(token), 0u);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_EQ(chip_->signal_irqfd(token), Result::kOk);
    ExpectDone();
    EXPECT_EQ(chip_->resamples(token), i);
  }
  ASSERT_EQ(chip_->remove_irqfd(token), Result::kOk);
  EXPECT_EQ(chip_->resamples(token), 3u) << "the count outlives the irqfd";
}

// With a split irqchip the IOAPIC is the caller's: the end of an interrupt of a
// level-triggered pin has to reach it.
TEST_F(KvmIrqchipTest, EndOfALevelInterruptExitsToTheCallersIoapic) {
  MakeWith({{"irqchip", "split"}});
  if (IsSkipped()) return;
  constexpr std::uint32_t kLevelAsserted = 3u << 14;
  MsiMessage level = FixedMsi(0, kVector);
  level.data |= kLevelAsserted;
  const IrqRoute route = {
      .gsi = kPin, .target = IrqTarget::kMsi, .pin = 0, .msi = level};
  ASSERT_EQ(chip_->set_routing(&route, 1), Result::kOk) << chip_->last_error();
  Start(AwaitInterruptsCode());
  bool delivered = false;
  ASSERT_EQ(chip_->signal_msi(level, &delivered), Result::kOk);
  EXPECT_TRUE(delivered);
  // An engine that emulates ring 0 reports the end at its next entry, after the
  // OUT that follows.
  int ends = 0;
  int outs = 0;
  Watchdog watchdog(vcpu().kick_handle());
  for (int i = 0; i < 2; ++i) {
    const Exit exit = vcpu().run();
    if (exit.reason == ExitReason::kIoapicEoi) {
      EXPECT_EQ(exit.ioapic_eoi.vector, kVector);
      ++ends;
    } else {
      ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
      EXPECT_EQ(exit.io.port, kDonePort);
      ++outs;
    }
  }
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(outs, 1);
}

TEST_F(KvmIrqchipTest, SmiEntersSmmAndRsmLeavesIt) {
  MakeWith({{"irqchip", "split"}});
  if (IsSkipped()) return;
  Load(kSmmCode, SmmHandlerCode());
  Start(OutForEverCode());
  ExpectDone();
  const Result sent = chip_->send_smi(0);
  if (sent == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_X86_SMM";
  }
  ASSERT_EQ(sent, Result::kOk) << chip_->last_error();
  Watchdog watchdog(vcpu().kick_handle());
  const Exit exit = vcpu().run();
  ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
  EXPECT_EQ(exit.io.port, kSmmPort);
  ExpectDone();
  ExpectDone();
}

TEST_F(KvmIrqchipTest, StateGoesInAndComesOut) {
  MakeWith({{"irqchip", "full"}, {"pit", "on"}});
  if (IsSkipped()) return;
  PicState pic;
  ASSERT_EQ(chip_->get_pic(1, &pic), Result::kOk);
  pic.irq_base = 0x70;
  pic.imr = 0xA5;
  ASSERT_EQ(chip_->set_pic(1, pic), Result::kOk);
  pic = {};
  ASSERT_EQ(chip_->get_pic(1, &pic), Result::kOk);
  EXPECT_EQ(pic.irq_base, 0x70);
  EXPECT_EQ(pic.imr, 0xA5);
  ASSERT_EQ(chip_->get_pic(0, &pic), Result::kOk);
  EXPECT_NE(pic.imr, 0xA5) << "the master is another one";

  IoapicState ioapic;
  ASSERT_EQ(chip_->get_ioapic(&ioapic), Result::kOk);
  EXPECT_EQ(ioapic.base, 0xFEC00000u);
  ioapic.redirection[23] = 0x1000000000010099;  // masked, vector 0x99
  ASSERT_EQ(chip_->set_ioapic(ioapic), Result::kOk);
  ioapic = {};
  ASSERT_EQ(chip_->get_ioapic(&ioapic), Result::kOk);
  EXPECT_EQ(ioapic.redirection[23], 0x1000000000010099u);

  LapicState lapic;
  ASSERT_EQ(chip_->get_lapic(0, &lapic), Result::kOk);
  lapic.Set(0x80, 0x20);  // TPR
  lapic.Set(0x360, 0x10000 | 0x66);
  ASSERT_EQ(chip_->set_lapic(0, lapic), Result::kOk);
  LapicState again;
  ASSERT_EQ(chip_->get_lapic(0, &again), Result::kOk);
  EXPECT_EQ(again.Get(0x80), 0x20u);
  EXPECT_EQ(again.Get(0x360), 0x10066u);

  PitState pit;
  ASSERT_EQ(chip_->get_pit(&pit), Result::kOk);
  EXPECT_EQ(pit.channels[2].mode, kPitModeUnset);
  pit.channels[2] = {.count = 1234, .mode = 3, .gate = true};
  ASSERT_EQ(chip_->set_pit(pit), Result::kOk);
  pit = {};
  ASSERT_EQ(chip_->get_pit(&pit), Result::kOk);
  EXPECT_EQ(pit.channels[2].count, 1234u);
  EXPECT_EQ(pit.channels[2].mode, 3);
  EXPECT_TRUE(pit.channels[2].gate);
}

TEST_F(KvmIrqchipTest, SipiStartsAnotherVcpu) {
  MakeWith({{"irqchip", "split"}}, 2);
  if (IsSkipped()) return;
  MpState state = MpState::kOther;
  ASSERT_EQ(chip_->get_mp_state(0, &state), Result::kOk);
  EXPECT_EQ(state, MpState::kRunnable);
  ASSERT_EQ(chip_->get_mp_state(1, &state), Result::kOk);
  EXPECT_EQ(state, MpState::kUninitialized);
  // movw $0x5a, 0x6000; 1: hlt; jmp 1b
  Load(kApCode, {0xC7, 0x06, 0x00, 0x60, 0x5A, 0x00, 0xF4, 0xEB, 0xFD});
  Start(StartOtherCode());

  std::atomic<bool> ending = false;
  std::atomic<bool> trouble = false;
  std::thread other([&] {
    while (!ending.load()) {
      const Exit exit = vcpu(1).run();
      if (BackendResumes(vcpu(1), exit)) continue;
      if (exit.reason == ExitReason::kInterrupted) continue;
      trouble = true;
      break;
    }
  });
  ExpectDone();
  std::atomic_ref<std::uint16_t> mark(*reinterpret_cast<std::uint16_t*>(
      vm_->memory().At(kCount, sizeof(std::uint16_t))));
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (mark.load() == 0 && !trouble.load() &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_EQ(mark.load(), 0x5A);
  ending = true;
  vcpu(1).kick_handle().Kick();
  other.join();
  EXPECT_FALSE(trouble.load());
}

TEST_F(KvmIrqchipTest, InjectionByTheCallerIsRefused) {
  MakeWith({{"irqchip", "full"}});
  if (IsSkipped()) return;
  Start(AwaitInterruptsCode());
  EXPECT_FALSE(vm_->has(Capability::kIrqInjection));
  EXPECT_FALSE(vm_->has(Capability::kIrqWindow));
  EXPECT_FALSE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(kVector), InjectResult::kUnsupported);
  EXPECT_EQ(vcpu().inject_irq(3), InjectResult::kInvalid);
}

TEST_F(KvmIrqchipTest, BadArgumentsAreRefused) {
  MakeWith({{"irqchip", "split"}});
  if (IsSkipped()) return;
  IoapicState ioapic;
  PicState pic;
  PitState pit;
  EXPECT_EQ(chip_->get_ioapic(&ioapic), Result::kUnsupported);
  EXPECT_EQ(chip_->get_pic(0, &pic), Result::kUnsupported);
  EXPECT_EQ(chip_->get_pit(&pit), Result::kUnsupported);
  EXPECT_EQ(chip_->set_irq_line(kPin, true), Result::kError);
  EXPECT_EQ(chip_->last_error(), ENXIO);
  IrqRoute route = {
      .gsi = 0, .target = IrqTarget::kIoapic, .pin = 24, .msi = {}};
  EXPECT_EQ(chip_->set_routing(&route, 1), Result::kError);
  EXPECT_EQ(chip_->last_error(), EINVAL);
  LapicState lapic;
  EXPECT_EQ(chip_->get_lapic(1, &lapic), Result::kError);
  EXPECT_EQ(chip_->set_mp_state(0, MpState::kOther), Result::kError);
  const Result smi = chip_->send_smi(0);
  EXPECT_TRUE(smi == Result::kUnsupported || smi == Result::kOk);
}

TEST_F(KvmIrqchipTest, WithoutAnIrqchipThereIsNoInterface) {
  MakeVm();
  EXPECT_EQ(FeatureOf<Irqchip>(*vm_), nullptr);
  EXPECT_TRUE(vm_->has(Capability::kIrqInjection));
}

TEST_F(KvmIrqchipTest, KnobsAreCheckedBeforeAVmIsMade) {
  VmConfig config;
  config.knobs = {{"irqchip", "apic"}};
  EXPECT_THAT(backend_->CreateKvmVm(config).status().message(),
              HasSubstr("split"));
  config.knobs = {{"irqchip", "split"}, {"pit", "on"}};
  EXPECT_THAT(backend_->CreateKvmVm(config).status().message(),
              HasSubstr("irqchip=full"));
  config.knobs = {{"disable_exits", "everything"}};
  EXPECT_FALSE(backend_->CreateKvmVm(config).ok());
  config.knobs = {{"halt_poll_ns", "-2"}};
  EXPECT_FALSE(backend_->CreateKvmVm(config).ok());
}

TEST_F(KvmIrqchipTest, EveryOfferedSetOfExitsCanBeTurnedOff) {
  const Knob* const knob = backend_->knobs().Find("disable_exits");
  if (!knob->not_settable.empty()) GTEST_SKIP() << knob->not_settable;
  const std::size_t sets = std::size_t{1} << knob->choices.size();
  for (std::size_t set = 0; set < sets; ++set) {
    std::string exits;
    for (std::size_t i = 0; i < knob->choices.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      exits += (exits.empty() ? "" : "+") + knob->choices[i];
    }
    VmConfig config;
    config.needs.memory_bytes = kMemoryBytes;
    config.knobs = {{"disable_exits", exits.empty() ? "none" : exits}};
    EXPECT_TRUE(backend_->CreateKvmVm(config).ok()) << exits;
  }
}

TEST_F(KvmIrqchipTest, HltDoesNotExitOnceItIsTurnedOff) {
  VmConfig config;
  config.needs.memory_bytes = kMemoryBytes;
  config.knobs = {{"disable_exits", "hlt"}};
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
  if (!vm.ok()) GTEST_SKIP() << vm.status();
  vm_ = *std::move(vm);
  WriteTables();
  Start(HaltThenOutCode());
  std::atomic<bool> back = false;
  std::thread kicker([&, handle = vcpu().kick_handle()] {
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      handle.Kick();
    } while (!back.load());
  });
  const Exit exit = vcpu().run();
  back = true;
  kicker.join();
  if (exit.reason == ExitReason::kHlt) {
    GTEST_SKIP() << "the engine accepts disable_exits=hlt, and HLT exits as "
                    "before";
  }
  EXPECT_EQ(exit.reason, ExitReason::kInterrupted);
}

}  // namespace
}  // namespace worldswitch
