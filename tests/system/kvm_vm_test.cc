// Making and destroying VMs on the real /dev/kvm: what leaks, what is refused,
// what is counted, what the backend tells about itself.

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>

#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

WS_GUEST(Cpuid, "mov $1, %eax; cpuid; hlt")
WS_GUEST(Out, "mov $0x80, %edx; 1: out %al, %dx; jmp 1b")
WS_GUEST(ReadFar, "mov $0x10000000, %ebx; mov (%rbx), %eax; hlt")
WS_GUEST(Tsc, "rdtsc; shl $32, %rdx; or %rdx, %rax; hlt")

std::ptrdiff_t OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

class KvmVmTest : public KvmTest {};

TEST_F(KvmVmTest, AHundredVmsLeaveNoDescriptorBehind) {
  MakeVm("", 2);
  vm_.reset();
  const std::ptrdiff_t before = OpenDescriptors();
  for (int i = 0; i < 100; ++i) {
    MakeVm("", 2);
    if (HasFatalFailure()) return;
    vm_.reset();
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(KvmVmTest, TooFewDescriptorsIsSaidAndLeaksNothing) {
  const std::ptrdiff_t before = OpenDescriptors();
  rlimit usual = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  VmConfig config;
  config.needs = {.memory_bytes = kMemoryBytes, .vcpus = 2};
  int failures = 0;
  // Enough for the first so many descriptors of a VM, then none.
  for (rlim_t more = 0; more < 16; ++more) {
    // One descriptor of the count above was the directory itself.
    const rlimit few = {static_cast<rlim_t>(before) - 1 + more, usual.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    const absl::StatusOr<std::unique_ptr<Vm>> vm = backend_->CreateVm(config);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
    if (vm.ok()) break;
    ++failures;
    EXPECT_THAT(std::string(vm.status().message()),
                AllOf(HasSubstr("EMFILE"), HasSubstr("ulimit -n")));
    EXPECT_EQ(OpenDescriptors(), before);
  }
  EXPECT_GE(failures, 3) << "the VM, a vCPU, its statistics";
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(KvmVmTest, WhatCannotBeIsRefusedBeforeAnythingIsMade) {
  const auto refused = [this](const VmConfig& config) {
    return backend_->CreateVm(config).status();
  };
  VmConfig config;
  config.needs.vcpus = 0;
  EXPECT_EQ(refused(config).code(), absl::StatusCode::kInvalidArgument);
  config.needs.vcpus = 1000000;
  EXPECT_EQ(refused(config).code(), absl::StatusCode::kInvalidArgument);
  config.needs = {.memory_bytes = std::uint64_t{4} << 30, .vcpus = 1};
  EXPECT_EQ(refused(config).code(), absl::StatusCode::kInvalidArgument);
  config.needs = {.memory_bytes = 4095, .vcpus = 1};
  EXPECT_FALSE(refused(config).ok());
  config.needs = {};
  config.knobs["registers"] = "telepathy";
  EXPECT_FALSE(refused(config).ok());
  config.knobs = {{"no_such_knob", "1"}};
  EXPECT_FALSE(refused(config).ok());
}

TEST_F(KvmVmTest, AFailedStepUndoesTheVm) {
  const std::ptrdiff_t before = OpenDescriptors();
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
  ASSERT_TRUE(system.ok());
  KvmVmOptions options;
  options.after_vcpus.emplace_back(
      [](KvmVm&) { return absl::AbortedError("as the test wants it"); });
  EXPECT_EQ(KvmVm::Create(*system, options).status().code(),
            absl::StatusCode::kAborted);
  system->reset();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(KvmVmTest, CountersMove) {
  MakeVm();
  if (!vm_->has(Capability::kCounters)) {
    GTEST_SKIP() << "the engine has no statistics";
  }
  Start(OutCode());
  const Watchdog watchdog(vcpu().kick_handle());
  const OptionalValue before = vm_->counter(Counter::kExits, 0);
  for (int i = 0; i < 1000; ++i) vcpu().run();
  const OptionalValue after = vm_->counter(Counter::kExits, 0);
  ASSERT_TRUE(before.known);
  ASSERT_TRUE(after.known);
  EXPECT_GE(after.value - before.value, 1000u);
  EXPECT_FALSE(vm_->counter(Counter::kExits, 1).known) << "no such vCPU";
  const std::vector<KvmStats::Value> all = vm_->AllCounters(0);
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const auto& value) {
    return value.name == "exits" && value.value == after.value;
  }));
}

TEST_F(KvmVmTest, CpuidTellsEveryVcpuItsOwnApicId) {
  MakeVm("", 2);
  for (std::uint32_t index = 0; index < 2; ++index) {
    Start(CpuidCode(), index);
    const Watchdog watchdog(vcpu(index).kick_handle());
    ASSERT_EQ(vcpu(index).run().reason, ExitReason::kHlt);
    ASSERT_EQ(vcpu(index).fetch_registers(kGeneralRegisters), Result::kOk);
    EXPECT_EQ(general(index).rbx >> 24, index);
  }
}

TEST_F(KvmVmTest, MemorySlotsComeAndGo) {
  MakeVm();
  absl::StatusOr<GuestMemory> more =
      GuestMemory::Create(4096, MemoryBacking::kAnonymous);
  ASSERT_TRUE(more.ok());
  more->data()[0] = std::byte{0x42};
  ASSERT_TRUE(
      vm_->SetMemorySlot(1, 0, kMmioBase, more->size(), more->data()).ok());
  EXPECT_FALSE(
      vm_->SetMemorySlot(2, 0, kMmioBase, more->size(), more->data()).ok())
      << "two slots at one place";
  Start(ReadFarCode());
  const Watchdog watchdog(vcpu().kick_handle());
  ASSERT_EQ(vcpu().run().reason, ExitReason::kHlt);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rax & 0xFF, 0x42u);
  ASSERT_TRUE(vm_->RemoveMemorySlot(1).ok());
  Start(ReadFarCode());
  EXPECT_EQ(vcpu().run().reason, ExitReason::kMmio);
}

TEST_F(KvmVmTest, DiscardedMemoryReadsAsZeros) {
  MakeVm();
  ASSERT_TRUE(vm_->has(Capability::kDiscardMemory));
  const std::uint64_t value = 7;
  Write(0x40000, &value, sizeof(value));
  EXPECT_EQ(vm_->discard_memory(0x40000, 4096), Result::kOk);
  EXPECT_EQ(Read<std::uint64_t>(0x40000), 0u);
  EXPECT_EQ(vm_->discard_memory(kMemoryBytes, 4096), Result::kError);
}

TEST_F(KvmVmTest, MsrsAreReadAndARefusedOneIsNamed) {
  MakeVm();
  kvm_msr_entry efer = {};
  efer.index = 0xC0000080;
  std::vector<kvm_msr_entry> entries = {efer};
  ASSERT_TRUE(vcpu().GetMsrs(&entries).ok());
  EXPECT_TRUE(vcpu().SetMsrs(entries).ok());
  entries[0].index = 0xDEAD0000;
  const absl::Status status = vcpu().GetMsrs(&entries);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("0xdead0000"));
}

TEST_F(KvmVmTest, AGuestTimeStampLiesBetweenTwoOfTheHost) {
  MakeVm();
  if (!vm_->has(Capability::kSharedTimeStamp)) {
    GTEST_SKIP() << "the engine shares no time stamp";
  }
  Start(TscCode());
  const Watchdog watchdog(vcpu().kick_handle());
  const std::uint64_t before = __builtin_ia32_rdtsc();
  ASSERT_EQ(vcpu().run().reason, ExitReason::kHlt);
  const std::uint64_t after = __builtin_ia32_rdtsc();
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_GE(general().rax, before);
  EXPECT_LE(general().rax, after);
}

TEST_F(KvmVmTest, FactsTellEngineAndCapabilities) {
  const std::vector<Fact> facts = backend_->facts();
  const auto value = [&facts](const std::string& name) {
    for (const Fact& fact : facts) {
      if (fact.name == name) return fact.value;
    }
    return std::string("(missing)");
  };
  EXPECT_EQ(value("api_version"), "12");
  EXPECT_EQ(value("engine"), backend_->engine());
  EXPECT_EQ(value("KVM_CAP_USER_MEMORY"), "1");
  EXPECT_NE(value("vcpus_max"), "0");
  EXPECT_NE(value("cpuid_entries"), "0");
  EXPECT_NE(value("msrs"), "0");
  EXPECT_EQ(value("statistics"), "yes");
}

}  // namespace
}  // namespace worldswitch
