// State on the real /dev/kvm: each part set, carried into a new VM and seen
// there; and a whole VM saved in the middle of an I/O exit.

#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "backends/kvm/kvm_header.h"
#include "core/features/vcpu_state.h"
#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

// Adds up what it reads from port 0x10, into memory as well; HLT at zero.
WS_GUEST(Sum,
         "xor %ebx, %ebx; 1: in $0x10, %al; movzbl %al, %eax; test %eax, %eax;"
         "jz 2f; add %rax, %rbx; mov %rbx, 0x30000; jmp 1b; 2: hlt")
WS_GUEST(Halt, "hlt; hlt; hlt")
WS_GUEST(ReadDr, "mov %db0, %rax; mov %db3, %rbx; hlt")
WS_GUEST(ReadStar, "mov $0xC0000081, %ecx; rdmsr; hlt")
WS_GUEST(ReadXmm, "movups %xmm3, 0x30000; hlt")
WS_GUEST(Handler, "mov $0x77, %ebx; hlt")
// Reads and writes where no memory is: two exits of one instruction.
WS_GUEST(Update, "lock addl $5, 0x10000000; hlt")

constexpr std::uint64_t kResult = 0x30000;
constexpr std::uint32_t kMsrTsc = 0x10;
constexpr std::uint32_t kMsrStar = 0xC0000081;

using Bytes = std::vector<std::byte>;

VcpuStateAccess& StateOf(KvmVm& vm) {
  auto* const state = FeatureOf<VcpuStateAccess>(vm);
  EXPECT_NE(state, nullptr);
  return *state;
}

Bytes Get(KvmVm& vm, StatePart part) {
  VcpuStateAccess& state = StateOf(vm);
  Bytes bytes(state.part_size(0, part));
  EXPECT_EQ(state.get_part(0, part, bytes.data(), bytes.size()), Result::kOk)
      << StatePartName(part) << ": errno " << state.last_error();
  return bytes;
}

void Set(KvmVm& vm, StatePart part, const Bytes& bytes) {
  VcpuStateAccess& state = StateOf(vm);
  EXPECT_EQ(state.set_part(0, part, bytes.data(), bytes.size()), Result::kOk)
      << StatePartName(part) << ": errno " << state.last_error();
}

template <typename T>
T As(const Bytes& bytes) {
  T value = {};
  EXPECT_GE(bytes.size(), sizeof(T));
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

template <typename T>
Bytes ToBytes(const T& value) {
  Bytes bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::map<std::uint32_t, std::uint64_t> MsrsOf(KvmVm& vm) {
  const Bytes bytes = Get(vm, StatePart::kMsrs);
  std::map<std::uint32_t, std::uint64_t> msrs;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(MsrValue)) {
    MsrValue entry;
    std::memcpy(&entry, bytes.data() + at, sizeof(entry));
    msrs[entry.index] = entry.value;
  }
  return msrs;
}

class KvmStateTest : public KvmTest {
 protected:
  // Saves vm_ and restores it into a new VM, which is vm_ from then on.
  void MoveToNewVm() {
    VcpuStateAccess& state = StateOf(*vm_);
    Bytes saved(state.saved_size());
    ASSERT_EQ(state.save(saved.data(), saved.size()), Result::kOk)
        << "errno " << state.last_error();
    old_.swap(vm_);
    MakeVm("", old_->vcpu_count());
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_NE(vm_, nullptr);
    VcpuStateAccess& other = StateOf(*vm_);
    ASSERT_EQ(other.restore(saved.data(), saved.size()), Result::kOk)
        << "errno " << other.last_error();
  }
  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    return vcpu().run();
  }
  void RunToHlt() { ASSERT_EQ(Run().reason, ExitReason::kHlt); }

  std::unique_ptr<KvmVm> old_;
};

TEST_F(KvmStateTest, GeneralRegistersCrossOver) {
  MakeVm();
  Start(HaltCode());
  general().r15 = 0x1122334455667788;
  vcpu().registers().dirty = kGeneralRegisters;  // sent by save itself
  MoveToNewVm();
  ASSERT_EQ(vcpu().fetch_registers(kAllRegisters), Result::kOk);
  EXPECT_EQ(general().r15, 0x1122334455667788u);
  EXPECT_EQ(general().rip, kCodeGpa);
  RunToHlt();
}

TEST_F(KvmStateTest, SpecialRegistersCrossOver) {
  MakeVm();
  Start(HaltCode());
  vcpu().registers().special.fs.base = 0x123456000;
  vcpu().registers().special.cr8 = 5;
  vcpu().registers().dirty = kSpecialRegisters;
  ASSERT_EQ(vcpu().commit_registers(), Result::kOk);
  MoveToNewVm();
  RunToHlt();  // KVM_RUN takes CR8 from the shared page
  ASSERT_EQ(vcpu().fetch_registers(kAllRegisters), Result::kOk);
  EXPECT_EQ(vcpu().registers().special.fs.base, 0x123456000u);
  EXPECT_EQ(vcpu().registers().special.cr8, 5u);
  EXPECT_EQ(vcpu().registers().special.cr3, kPml4);
}

TEST_F(KvmStateTest, FpuCrossesOver) {
  MakeVm();
  Start(ReadXmmCode());
  vcpu().registers().special.cr4 |= 0x200;  // OSFXSR
  vcpu().registers().dirty = kSpecialRegisters;
  auto fpu = As<kvm_fpu>(Get(*vm_, StatePart::kFpu));
  fpu.fcw = 0x27F;
  for (int i = 0; i < 16; ++i) fpu.xmm[3][i] = static_cast<__u8>(0xA0 + i);
  Set(*vm_, StatePart::kFpu, ToBytes(fpu));
  const Bytes before = Get(*vm_, StatePart::kFpu);
  MoveToNewVm();
  EXPECT_EQ(Get(*vm_, StatePart::kFpu), before);
  EXPECT_EQ(As<kvm_fpu>(Get(*vm_, StatePart::kFpu)).fcw, 0x27F);
  RunToHlt();  // the guest sees it
  EXPECT_EQ(Read<std::uint64_t>(kResult), 0xA7A6A5A4A3A2A1A0u);
  EXPECT_EQ(Read<std::uint64_t>(kResult + 8), 0xAFAEADACABAAA9A8u);
}

TEST_F(KvmStateTest, XsaveCrossesOver) {
  MakeVm();
  Start(HaltCode());
  if (StateOf(*vm_).part_size(0, StatePart::kXsave) == 0) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_XSAVE";
  }
  Bytes image = Get(*vm_, StatePart::kXsave);
  // Intel SDM 1, 13.4: XMM0 at 160 of the legacy region, XSTATE_BV at 512.
  for (int i = 0; i < 16; ++i) image[160 + i] = static_cast<std::byte>(i + 1);
  image[512] |= std::byte{3};  // x87 and SSE are there
  Set(*vm_, StatePart::kXsave, image);
  const Bytes before = Get(*vm_, StatePart::kXsave);
  EXPECT_EQ(before[160 + 7], std::byte{8});
  MoveToNewVm();
  EXPECT_EQ(Get(*vm_, StatePart::kXsave), before);
}

TEST_F(KvmStateTest, XcrsCrossOver) {
  MakeVm();
  Start(HaltCode());
  if (StateOf(*vm_).part_size(0, StatePart::kXcrs) == 0) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_XCRS";
  }
  auto xcrs = As<kvm_xcrs>(Get(*vm_, StatePart::kXcrs));
  ASSERT_GE(xcrs.nr_xcrs, 1u);
  xcrs.xcrs[0].value = 3;  // x87 and SSE; a new vCPU has x87 alone
  Set(*vm_, StatePart::kXcrs, ToBytes(xcrs));
  MoveToNewVm();
  EXPECT_EQ(As<kvm_xcrs>(Get(*vm_, StatePart::kXcrs)).xcrs[0].value, 3u);
}

TEST_F(KvmStateTest, DebugRegistersCrossOver) {
  MakeVm();
  Start(ReadDrCode());
  if (StateOf(*vm_).part_size(0, StatePart::kDebugRegisters) == 0) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_DEBUGREGS";
  }
  auto registers = As<kvm_debugregs>(Get(*vm_, StatePart::kDebugRegisters));
  registers.db[0] = 0x1234000;
  registers.db[3] = 0x5678000;
  Set(*vm_, StatePart::kDebugRegisters, ToBytes(registers));
  MoveToNewVm();
  RunToHlt();
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rax, 0x1234000u);
  EXPECT_EQ(general().rbx, 0x5678000u);
}

TEST_F(KvmStateTest, MsrsCrossOver) {
  MakeVm();
  Start(ReadStarCode());
  std::map<std::uint32_t, std::uint64_t> before = MsrsOf(*vm_);
  ASSERT_EQ(before.count(kMsrStar), 1u) << before.size() << " MSRs";
  kvm_msr_entry star = {};
  star.index = kMsrStar;
  star.data = 0x0023001000000000;
  ASSERT_TRUE(vcpu().SetMsrs({star}).ok());
  before = MsrsOf(*vm_);
  EXPECT_EQ(before[kMsrStar], 0x0023001000000000u);
  MoveToNewVm();
  std::map<std::uint32_t, std::uint64_t> after = MsrsOf(*vm_);
  before.erase(kMsrTsc);  // goes on by itself
  after.erase(kMsrTsc);
  EXPECT_EQ(after, before);
  RunToHlt();
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rdx, 0x00230010u);
}

TEST_F(KvmStateTest, APendingInterruptCrossesOverAndIsDelivered) {
  MakeVm();
  Start(HaltCode());
  Load(kHandlerGpa, HandlerCode());
  SetGate(0x40, kHandlerGpa);
  general().rflags |= kRflagsIf;
  vcpu().registers().dirty = kGeneralRegisters;
  ASSERT_EQ(vcpu().commit_registers(), Result::kOk);
  ASSERT_EQ(vcpu().inject_irq(0x40), InjectResult::kOk);
  MoveToNewVm();
  EXPECT_EQ(As<kvm_vcpu_events>(Get(*vm_, StatePart::kEvents)).interrupt.nr,
            0x40);
  // It is on its way here too, so that nothing else goes beside it.
  EXPECT_FALSE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x41), InjectResult::kBusy);
  RunToHlt();
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rbx, 0x77u);
}

TEST_F(KvmStateTest, WithoutAnInKernelIrqchipThereIsNoLapic) {
  MakeVm();
  VcpuStateAccess& state = StateOf(*vm_);
  EXPECT_EQ(state.part_size(0, StatePart::kLapic), 0u);
  std::byte byte = {};
  EXPECT_EQ(state.get_part(0, StatePart::kLapic, &byte, 1),
            Result::kUnsupported);
}

// The VM has its interrupt controllers in the kernel.
class KvmStateIrqchipTest : public KvmStateTest {
 protected:
  std::unique_ptr<KvmVm> MakeIrqchipVm() {
    KvmVmOptions options;
    options.needs = {.memory_bytes = kMemoryBytes, .vcpus = 1};
    options.kick_signal = KickBlock::DefaultSignal();
    options.before_vcpus.emplace_back([](KvmVm& vm) {
      return ioctl(vm.fd(), KVM_CREATE_IRQCHIP, 0) == 0
                 ? absl::OkStatus()
                 : absl::UnavailableError("KVM_CREATE_IRQCHIP");
    });
    absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
    EXPECT_TRUE(system.ok()) << system.status();
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = KvmVm::Create(*system, options);
    EXPECT_TRUE(vm.ok()) << vm.status();
    return vm.ok() ? *std::move(vm) : nullptr;
  }
};

TEST_F(KvmStateIrqchipTest, LapicMpStateAndChipsCrossOver) {
  vm_ = MakeIrqchipVm();
  ASSERT_NE(vm_, nullptr);
  auto lapic = As<kvm_lapic_state>(Get(*vm_, StatePart::kLapic));
  lapic.regs[0x80] = 0x30;                     // TPR
  lapic.regs[0xF0] = static_cast<char>(0xEF);  // spurious vector
  lapic.regs[0xF1] = 1;                        // software enabled
  lapic.regs[0x350] = 0x21;                    // LVT LINT0: vector
  Set(*vm_, StatePart::kLapic, ToBytes(lapic));
  Set(*vm_, StatePart::kMpState,
      ToBytes(kvm_mp_state{.mp_state = KVM_MP_STATE_HALTED}));
  kvm_irqchip chip = {};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  ASSERT_EQ(ioctl(vm_->fd(), KVM_GET_IRQCHIP, &chip), 0);
  chip.chip.ioapic.redirtbl[4].bits = 0x10034;  // masked, vector 0x34
  ASSERT_EQ(ioctl(vm_->fd(), KVM_SET_IRQCHIP, &chip), 0);
  const Bytes before = Get(*vm_, StatePart::kLapic);

  VcpuStateAccess& state = StateOf(*vm_);
  Bytes saved(state.saved_size());
  ASSERT_EQ(state.save(saved.data(), saved.size()), Result::kOk);
  vm_ = MakeIrqchipVm();
  ASSERT_NE(vm_, nullptr);
  VcpuStateAccess& other = StateOf(*vm_);
  ASSERT_EQ(other.restore(saved.data(), saved.size()), Result::kOk)
      << "errno " << other.last_error();

  EXPECT_EQ(Get(*vm_, StatePart::kLapic), before);
  EXPECT_EQ(As<kvm_mp_state>(Get(*vm_, StatePart::kMpState)).mp_state,
            static_cast<__u32>(KVM_MP_STATE_HALTED));
  kvm_irqchip restored = {};
  restored.chip_id = KVM_IRQCHIP_IOAPIC;
  ASSERT_EQ(ioctl(vm_->fd(), KVM_GET_IRQCHIP, &restored), 0);
  EXPECT_EQ(restored.chip.ioapic.redirtbl[4].bits, 0x10034u);
}

// The whole, in the middle of an IN: its data is stored, and nobody has run or
// fetched since. What may differ afterwards is the TSC's MSR alone.
TEST_F(KvmStateTest, AWholeVmMovesInTheMiddleOfAnIn) {
  MakeVm("", 2);
  Start(SumCode());
  const auto answer = [this](std::uint8_t value) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    ASSERT_EQ(exit.io.port, 0x10);
    ASSERT_FALSE(exit.io.is_write);
    *static_cast<std::uint8_t*>(exit.io.data) = value;
  };
  for (const std::uint8_t value : {7, 20}) answer(value);
  MoveToNewVm();

  EXPECT_EQ(std::memcmp(old_->memory().host, vm_->memory().host, kMemoryBytes),
            0);
  for (int i = 0; i < static_cast<int>(StatePart::kCount); ++i) {
    const auto part = static_cast<StatePart>(i);
    if (StateOf(*vm_).part_size(0, part) == 0) continue;
    if (part == StatePart::kMsrs) {
      std::map<std::uint32_t, std::uint64_t> before = MsrsOf(*old_);
      std::map<std::uint32_t, std::uint64_t> after = MsrsOf(*vm_);
      EXPECT_GE(after[kMsrTsc], before[kMsrTsc]);
      before.erase(kMsrTsc);
      after.erase(kMsrTsc);
      EXPECT_EQ(after, before);
    } else {
      EXPECT_EQ(Get(*vm_, part), Get(*old_, part)) << StatePartName(part);
    }
  }

  // Both go on from the same place to the same end.
  for (const bool in_new : {true, false}) {
    if (!in_new) vm_ = std::move(old_);
    answer(100);
    answer(0);
    RunToHlt();
    ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
    EXPECT_EQ(general().rbx, 127u) << (in_new ? "new" : "old");
    EXPECT_EQ(Read<std::uint64_t>(kResult), 127u);
  }
}

TEST_F(KvmStateTest, BetweenTwoExitsOfOneInstructionThereIsNoState) {
  MakeVm();
  Start(UpdateCode());
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  std::memset(exit.mmio.data, 0, exit.mmio.length);
  VcpuStateAccess& state = StateOf(*vm_);
  Bytes saved(state.saved_size());
  ASSERT_EQ(state.save(saved.data(), saved.size()), Result::kError);
  EXPECT_EQ(state.last_error(), EBUSY);
  // The exit that came up is not lost, and after it there is a state again.
  exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_TRUE(exit.mmio.is_write);
  EXPECT_EQ(state.save(saved.data(), saved.size()), Result::kOk);
  RunToHlt();
}

TEST_F(KvmStateTest, WhatIsNotASavedStateIsRefusedAndChangesNothing) {
  MakeVm();
  Start(HaltCode());
  general().rbx = 99;
  vcpu().registers().dirty = kGeneralRegisters;
  VcpuStateAccess& state = StateOf(*vm_);
  Bytes saved(state.saved_size());
  EXPECT_EQ(state.save(saved.data(), saved.size() - 1), Result::kError);
  ASSERT_EQ(state.save(saved.data(), saved.size()), Result::kOk);
  general().rbx = 100;
  vcpu().registers().dirty = kGeneralRegisters;
  ASSERT_EQ(vcpu().commit_registers(), Result::kOk);
  for (std::size_t size : {std::size_t{0}, std::size_t{23}, saved.size() - 8}) {
    EXPECT_EQ(state.restore(saved.data(), size), Result::kError) << size;
    EXPECT_EQ(state.last_error(), EINVAL);
  }
  Bytes other = saved;
  other[0] ^= std::byte{1};
  EXPECT_EQ(state.restore(other.data(), other.size()), Result::kError);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rbx, 100u);
  MakeVm("", 2);  // more vCPUs than were saved
  EXPECT_EQ(StateOf(*vm_).restore(saved.data(), saved.size()), Result::kError);
}

}  // namespace
}  // namespace worldswitch
