// Hypercall, bus lock and notify exits, failed runs, and a padded CPUID, on the
// real /dev/kvm. Where the engine lacks one of them, it says so, and so does
// the refusal of the knob.

#include <sys/mman.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "guests/guests.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMapGpaRange = 12;  // KVM_HC_MAP_GPA_RANGE
constexpr std::uint64_t kMappedGpa = 0x40000;

// The hypercall's registers are the test's. It reports RAX.
WS_GUEST(IntelHypercall, "vmcall\nout %eax, $0xe0\n");
WS_GUEST(AmdHypercall, "vmmcall\nout %eax, $0xe0\n");

// A locked addition across two cache lines, then a byte to the port.
WS_GUEST(SplitLock,
         "mov $0x3003e, %esi\n"
         "lock addl $1, (%rsi)\n"
         "out %al, $0xe0\n");

WS_GUEST(ReportLeaf0,
         "xor %eax, %eax\n"
         "xor %ecx, %ecx\n"
         "cpuid\n"
         "out %eax, $0xe0\n"
         "mov %ebx, %eax\n"
         "out %eax, $0xe0\n");

// For LoadCode, any ring: a store to WS_TOUCH, then a byte to WS_PORT_TEST.
WS_GUEST(StoreToTouch,
         "movl $1, 0x40000\n"
         "out %al, $0xe0\n");

WS_GUEST(OutForEver, "1: out %al, $0xe0\njmp 1b\n");

class KvmAskedExitsTest : public KvmTest {
 protected:
  // A VM with a knob set; false where that is refused, which is checked to be
  // for the engine's own reason.
  void MakeVmWith(const std::string& name, const std::string& value,
                  std::uint32_t capability) {
    const Knob* const knob = backend_->knobs().Find(name);
    ASSERT_NE(knob, nullptr);
    VmConfig config;
    config.needs.memory_bytes = kMemoryBytes;
    config.knobs[name] = value;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    if (knob->not_settable.empty()) {
      ASSERT_TRUE(vm.ok()) << vm.status();
      vm_ = *std::move(vm);
      WriteTables();
      return;
    }
    ASSERT_FALSE(vm.ok());
    EXPECT_TRUE(absl::StrContains(vm.status().message(), knob->not_settable))
        << vm.status();
    MakeVm();
    EXPECT_EQ(vm_->CheckExtension(capability), 0);
    GTEST_SKIP() << knob->not_settable;
  }
  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  std::uint32_t OutValue(const Exit& exit) {
    EXPECT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    std::uint32_t value = 0;
    if (exit.reason == ExitReason::kIo) {
      std::memcpy(&value, exit.io.data, exit.io.size);
    }
    return value;
  }
};

TEST_F(KvmAskedExitsTest, HypercallReachesTheCaller) {
  MakeVmWith("hypercall_exits", "map_gpa_range", KVM_CAP_EXIT_HYPERCALL);
  if (IsSkipped() || HasFatalFailure()) return;
  const bool amd = __builtin_cpu_is("amd") != 0;
  Start(amd ? AmdHypercallCode() : IntelHypercallCode());
  general().rax = kMapGpaRange;
  general().rbx = kMappedGpa;
  general().rcx = 1;
  general().rdx = 0;
  vcpu().registers().dirty = kGeneralRegisters;
  Exit exit;
  {
    // Some engines hand no hypercall out, and execute it for ever.
    const KickHandle handle = vcpu().kick_handle();
    std::thread kicker([&handle] {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      handle.Kick();
    });
    exit = vcpu().run();
    kicker.join();
  }
  if (exit.reason == ExitReason::kInterrupted) {
    GTEST_SKIP() << "the engine takes KVM_CAP_EXIT_HYPERCALL, and its guest "
                    "makes no progress at "
                 << (amd ? "VMMCALL" : "VMCALL");
  }
  ASSERT_EQ(exit.reason, ExitReason::kHypercall) << ExitReasonName(exit.reason);
  EXPECT_EQ(exit.hypercall.number, kMapGpaRange);
  ASSERT_GE(exit.hypercall.argument_count, 3u);
  EXPECT_EQ(exit.hypercall.arguments[0], kMappedGpa);
  EXPECT_EQ(exit.hypercall.arguments[1], 1u);
  EXPECT_EQ(exit.hypercall.arguments[2], 0u);
  *exit.hypercall.result = 0x77;
  EXPECT_EQ(OutValue(Run()), 0x77u);
}

TEST_F(KvmAskedExitsTest, BusLockExitsBehindTheInstruction) {
  MakeVmWith("bus_lock_exits", "on", KVM_CAP_X86_BUS_LOCK_EXIT);
  if (IsSkipped() || HasFatalFailure()) return;
  Start(SplitLockCode());
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kBusLock) << ExitReasonName(exit.reason);
  const OptionalValue locked = vcpu().exit_detail(ExitDetail::kBusLock);
  EXPECT_TRUE(locked.known);
  EXPECT_EQ(locked.value, 1u);
  EXPECT_EQ(Run().reason, ExitReason::kIo);
  EXPECT_EQ(vcpu().exit_detail(ExitDetail::kBusLock).value, 0u);
}

TEST_F(KvmAskedExitsTest, BusLocksAreNotKnownWhereNobodyWatches) {
  MakeVm();
  Start(SplitLockCode());
  EXPECT_EQ(Run().reason, ExitReason::kIo);
  EXPECT_FALSE(vcpu().exit_detail(ExitDetail::kBusLock).known);
}

TEST_F(KvmAskedExitsTest, NotifyWindowIsTaken) {
  // How a guest would run into it is the processor's; that it can be set, and
  // does not disturb an ordinary guest, is ours.
  MakeVmWith("notify_window", "0", KVM_CAP_X86_NOTIFY_VMEXIT);
  if (IsSkipped() || HasFatalFailure()) return;
  Start(OutForEverCode());
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(Run().reason, ExitReason::kIo);
  }
}

// Every entry of the table is searched, and leaf 0 is found at its end.
TEST_F(KvmAskedExitsTest, PaddedCpuidStillAnswers) {
  MakeVm();
  Start(ReportLeaf0Code());
  const std::uint32_t highest = OutValue(Run());
  const std::uint32_t vendor = OutValue(Run());
  for (const char* entries : {"128", "256"}) {
    VmConfig config;
    config.needs.memory_bytes = kMemoryBytes;
    config.knobs["cpuid_entries"] = entries;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    ASSERT_TRUE(vm.ok()) << vm.status();
    vm_ = *std::move(vm);
    WriteTables();
    Start(ReportLeaf0Code());
    EXPECT_EQ(OutValue(Run()), highest) << entries;
    EXPECT_EQ(OutValue(Run()), vendor) << entries;
  }
}

// A run fails while the page still tells of a memory fault: with another errno
// than a memory fault's, that is none.
TEST_F(KvmAskedExitsTest, StaleMemoryFaultIsNotTaken) {
  constexpr std::uint32_t kKvmExitMemoryFaultCode = 39;
  MakeVm();
  Start(OutForEverCode());
  ASSERT_EQ(Run().reason, ExitReason::kIo);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  vcpu().page().exit_reason = kKvmExitMemoryFaultCode;
  vcpu().kick_handle().Kick();
  const Exit exit = vcpu().run();
  EXPECT_EQ(exit.reason, ExitReason::kInterrupted);
  EXPECT_EQ(exit.error.error_number, EINTR);
  EXPECT_EQ(Run().reason, ExitReason::kIo);
}

// Memory whose host pages cannot be had: KVM_RUN fails with EFAULT. Whether it
// says where is the engine's choice, and an exit either way.
TEST_F(KvmAskedExitsTest, MemoryThatTheHostTakesAwayIsAnErrorOrAFault) {
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
  ASSERT_TRUE(vm.ok()) << vm.status();
  vm_ = *std::move(vm);
  const std::vector<unsigned char> code = StoreToTouchCode();
  ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                     static_cast<std::uint32_t>(code.size())),
            Result::kOk);
  std::byte* const page = vm_->memory().At(WS_TOUCH, 4096);
  ASSERT_EQ(mprotect(page, 4096, PROT_NONE), 0);
  for (int i = 0; i < 2; ++i) {
    const Exit exit = Run();
    if (exit.reason == ExitReason::kMemoryFault) {
      EXPECT_EQ(exit.memory_fault.error_number, EFAULT);
      EXPECT_EQ(exit.memory_fault.gpa & ~std::uint64_t{4095},
                std::uint64_t{WS_TOUCH});
    } else {
      ASSERT_EQ(exit.reason, ExitReason::kError) << ExitReasonName(exit.reason);
      EXPECT_EQ(exit.error.error_number, EFAULT);
    }
  }
  // Given back, the guest goes on with the very store.
  ASSERT_EQ(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
  EXPECT_EQ(exit.io.port, WS_PORT_TEST);
  EXPECT_EQ(Read<std::uint32_t>(WS_TOUCH), 1u);
}

}  // namespace
}  // namespace worldswitch
