// Entering the guest and moving its registers, on the real /dev/kvm, in both
// positions of the knob `registers`.

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>

#include "tests/system/kvm_fixture.h"

namespace {
thread_local std::uint64_t allocations = 0;
}  // namespace

// Counted, for NothingIsAllocatedBetweenEntries. Not inlined, or the compiler
// sees malloc and free in places where it expects new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace worldswitch {
namespace {

WS_GUEST(Echo,
         "mov $0x100, %edx; xor %eax, %eax\n"
         "1: in %dx, %al; out %al, %dx; jmp 1b")
WS_GUEST(OutLoop, "mov $0x80, %edx; xor %eax, %eax\n1: out %al, %dx; jmp 1b")
WS_GUEST(Strings,
         "mov $0x30000, %esi; mov $4, %ecx; mov $0x100, %edx; rep outsb\n"
         "mov $0x30010, %edi; mov $4, %ecx; rep insb; hlt")
WS_GUEST(Hlt, "hlt; mov $7, %eax; hlt")
WS_GUEST(
    Mmio,
    "mov $0x10000000, %ebx; movl $0x11223344, 8(%rbx); mov 16(%rbx), %rcx\n"
    "addl $1, (%rbx); hlt")
WS_GUEST(AcrossPages, "mov $0x10000ffe, %ebx; mov (%rbx), %eax; hlt")
WS_GUEST(OutRbx, "mov $0x80, %edx; 1: mov %ebx, %eax; out %eax, %dx; jmp 1b")
WS_GUEST(Cr8, "mov %cr8, %rax; hlt")
WS_GUEST(TripleFault, "lidt (%rsp); ud2")
WS_GUEST(Write, "mov 0x30000, %eax; inc %eax; mov %eax, 0x30004; hlt")

class KvmVcpuTest : public KvmTest,
                    public testing::WithParamInterface<const char*> {
 protected:
  void Begin(const std::vector<unsigned char>& code) {
    MakeVm(GetParam());
    if (IsSkipped() || HasFatalFailure()) return;
    Start(code);
    watchdog_.emplace_back(new Watchdog(vcpu().kick_handle()));
  }
  // The next exit that the guest caused.
  Exit Run() {
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted &&
           !watchdog_.back()->fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void Fetch(RegisterSet groups = kGeneralRegisters) {
    ASSERT_EQ(vcpu().fetch_registers(groups), Result::kOk)
        << vcpu().last_error();
  }
  void TearDown() override { watchdog_.clear(); }

  std::vector<std::unique_ptr<Watchdog>> watchdog_;
};

#define BEGIN_GUEST(code) \
  Begin(code);            \
  if (IsSkipped() || HasFatalFailure()) return

TEST_P(KvmVcpuTest, InGetsTheDataAndIsCompletedOnce) {
  BEGIN_GUEST(EchoCode());
  for (unsigned i = 0; i < 20; ++i) {
    Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    EXPECT_EQ(exit.io.port, 0x100);
    EXPECT_EQ(exit.io.size, 1);
    EXPECT_EQ(exit.io.count, 1u);
    ASSERT_FALSE(exit.io.is_write);
    EXPECT_EQ(vcpu().registers().cached, kNoRegisters);
    *static_cast<std::uint8_t*>(exit.io.data) =
        static_cast<std::uint8_t>(0x40 + i);
    if (i % 2 == 1) {  // CMP.2: the register holds it already
      Fetch();
      EXPECT_EQ(general().rax & 0xFF, 0x40 + i);
      EXPECT_EQ(general().rip, kCodeGpa + 8);
    }
    exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    ASSERT_TRUE(exit.io.is_write);
    EXPECT_EQ(*static_cast<std::uint8_t*>(exit.io.data), 0x40 + i);
    if (i % 3 == 1) {
      Fetch();
      EXPECT_EQ(general().rip, kCodeGpa + 9);
    }
  }
}

TEST_P(KvmVcpuTest, WantedRegistersWaitForTheEndOfAnIn) {
  BEGIN_GUEST(EchoCode());
  vcpu().registers().wanted = kAllRegisters;
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  *static_cast<std::uint8_t*>(exit.io.data) = 0x5A;
  EXPECT_EQ(vcpu().registers().cached, kNoRegisters);
  Fetch(kAllRegisters);
  EXPECT_EQ(general().rax, 0x5Au);
  EXPECT_EQ(vcpu().registers().special.cr3, kPml4);
}

TEST_P(KvmVcpuTest, ADirtyRegisterDoesNotUndoAnIn) {
  BEGIN_GUEST(EchoCode());
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  *static_cast<std::uint8_t*>(exit.io.data) = 0x5A;
  Fetch();
  general().rbx = 0x1234;
  vcpu().registers().dirty = kGeneralRegisters;
  exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_EQ(*static_cast<std::uint8_t*>(exit.io.data), 0x5A);
  Fetch();
  EXPECT_EQ(general().rbx, 0x1234u);
  EXPECT_EQ(general().rax, 0x5Au);
}

TEST_P(KvmVcpuTest, StringsMoveEveryElementOnce) {
  BEGIN_GUEST(StringsCode());
  Write(0x30000, "abcd", 4);
  std::string out;
  unsigned in = 0;
  for (;;) {
    const Exit exit = Run();
    if (exit.reason != ExitReason::kIo) {
      ASSERT_EQ(exit.reason, ExitReason::kHlt);
      break;
    }
    ASSERT_EQ(exit.io.size, 1);
    auto* const data = static_cast<char*>(exit.io.data);
    for (unsigned i = 0; i < exit.io.count; ++i) {
      if (exit.io.is_write) {
        out.push_back(data[i]);
      } else {
        data[i] = static_cast<char>('p' + in++);
      }
    }
  }
  EXPECT_EQ(out, "abcd");
  EXPECT_EQ(in, 4u);
  EXPECT_EQ(std::memcmp(vm_->memory().At(0x30010, 4), "pqrs", 4), 0);
}

TEST_P(KvmVcpuTest, MmioTellsAddressLengthAndDirection) {
  BEGIN_GUEST(MmioCode());
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_EQ(exit.mmio.gpa, kMmioBase + 8);
  EXPECT_EQ(exit.mmio.length, 4u);
  EXPECT_TRUE(exit.mmio.is_write);
  EXPECT_EQ(std::memcmp(exit.mmio.data, "\x44\x33\x22\x11", 4), 0);
  EXPECT_EQ(vcpu().exit_detail(ExitDetail::kGuestPhysicalAddress).value,
            kMmioBase + 8);
  exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_EQ(exit.mmio.gpa, kMmioBase + 16);
  EXPECT_EQ(exit.mmio.length, 8u);
  ASSERT_FALSE(exit.mmio.is_write);
  const std::uint64_t value = 0x1122334455667788;
  std::memcpy(exit.mmio.data, &value, sizeof(value));
  Fetch();
  EXPECT_EQ(general().rcx, value);
}

TEST_P(KvmVcpuTest, TheWriteOfAReadModifyWriteIsNotLostByAFetch) {
  BEGIN_GUEST(MmioCode());
  Run();
  Run();
  const Exit read = Run();
  ASSERT_EQ(read.reason, ExitReason::kMmio);
  ASSERT_FALSE(read.mmio.is_write);
  const std::uint32_t value = 41;
  std::memcpy(read.mmio.data, &value, sizeof(value));
  Fetch();  // completing the read brings up the write
  general().rbx = 0x77;
  vcpu().registers().dirty = kGeneralRegisters;
  const Exit write = Run();
  ASSERT_EQ(write.reason, ExitReason::kMmio);
  EXPECT_TRUE(write.mmio.is_write);
  EXPECT_EQ(*static_cast<std::uint8_t*>(write.mmio.data), 42);
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  Fetch();
  EXPECT_EQ(general().rbx, 0x77u);
}

TEST_P(KvmVcpuTest, NoStateIsToldInTheMiddleOfARead) {
  BEGIN_GUEST(AcrossPagesCode());
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  if (exit.mmio.length != 2) GTEST_SKIP() << "the engine does not split it";
  std::memcpy(exit.mmio.data, "\x01\x02", 2);
  EXPECT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kError);
  EXPECT_EQ(vcpu().last_error(), EBUSY);
  exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_EQ(exit.mmio.gpa, kMmioBase + 0x1000);
  EXPECT_EQ(exit.mmio.length, 2u);
  std::memcpy(exit.mmio.data, "\x03\x04", 2);
  Fetch();
  EXPECT_EQ(general().rax, 0x04030201u);
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
}

TEST_P(KvmVcpuTest, AKickBetweenTheExitsOfOneInstructionLosesNeither) {
  BEGIN_GUEST(AcrossPagesCode());
  Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  if (exit.mmio.length != 2) GTEST_SKIP() << "the engine does not split it";
  std::memcpy(exit.mmio.data, "\x01\x02", 2);
  EXPECT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kError);
  vcpu().kick_handle().Kick();
  EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  std::memcpy(exit.mmio.data, "\x03\x04", 2);
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  Fetch();
  EXPECT_EQ(general().rax, 0x04030201u);
}

TEST_P(KvmVcpuTest, HltExitsAndTheGuestGoesOnBehindIt) {
  BEGIN_GUEST(HltCode());
  vcpu().registers().wanted = kGeneralRegisters;
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu().registers().cached, kGeneralRegisters);
  EXPECT_EQ(general().rip, kCodeGpa + 1);
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(general().rax, 7u);
  vcpu().registers().wanted = kNoRegisters;
}

TEST_P(KvmVcpuTest, TripleFaultIsShutdown) {
  BEGIN_GUEST(TripleFaultCode());
  EXPECT_EQ(Run().reason, ExitReason::kShutdown);
}

TEST_P(KvmVcpuTest, MemoryIsSharedBothWays) {
  BEGIN_GUEST(WriteCode());
  const std::uint32_t value = 41;
  Write(0x30000, &value, sizeof(value));
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(Read<std::uint32_t>(0x30004), 42u);
}

TEST_P(KvmVcpuTest, DirtyRegistersReachTheGuestAtTheNextRun) {
  BEGIN_GUEST(OutRbxCode());
  for (std::uint32_t i = 1; i < 10; ++i) {
    Fetch();
    general().rbx = i * 0x1001;
    vcpu().registers().dirty = kGeneralRegisters;
    if (i % 2 == 0) {
      ASSERT_EQ(vcpu().commit_registers(), Result::kOk);
      EXPECT_EQ(vcpu().registers().dirty, kNoRegisters);
    }
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    EXPECT_EQ(*static_cast<std::uint32_t*>(exit.io.data), i * 0x1001);
    EXPECT_EQ(vcpu().registers().dirty, kNoRegisters);
  }
}

TEST_P(KvmVcpuTest, Cr8StaysWhatWasCommitted) {
  BEGIN_GUEST(Cr8Code());
  Fetch(kAllRegisters);
  vcpu().registers().special.cr8 = 5;
  vcpu().registers().dirty = kSpecialRegisters;
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  Fetch(kAllRegisters);
  EXPECT_EQ(general().rax, 5u);
  EXPECT_EQ(vcpu().registers().special.cr8, 5u);
}

TEST_P(KvmVcpuTest, ARefusedCommitChangesNothing) {
  BEGIN_GUEST(OutRbxCode());
  for (const bool by_run : {false, true}) {
    for (const bool bad_cr8 : {false, true}) {
      Fetch(kAllRegisters);
      general().rbx = 0xBAD;
      if (bad_cr8) {
        vcpu().registers().special.cr8 = 16;
      } else {
        vcpu().registers().special.cr4 = ~std::uint64_t{0};
      }
      vcpu().registers().dirty = kAllRegisters;
      if (by_run) {
        const Exit exit = vcpu().run();
        EXPECT_EQ(exit.reason, ExitReason::kError);
        EXPECT_EQ(exit.error.error_number, EINVAL);
      } else {
        EXPECT_EQ(vcpu().commit_registers(), Result::kError);
        EXPECT_EQ(vcpu().last_error(), EINVAL);
      }
      EXPECT_EQ(vcpu().registers().dirty, kNoRegisters);
      const Exit exit = Run();
      ASSERT_EQ(exit.reason, ExitReason::kIo);
      EXPECT_EQ(*static_cast<std::uint32_t*>(exit.io.data), 0u);
    }
  }
}

TEST_P(KvmVcpuTest, DetailsOfAnExit) {
  BEGIN_GUEST(HltCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu().exit_detail(ExitDetail::kRip).value, kCodeGpa + 1);
  EXPECT_EQ(vcpu().exit_detail(ExitDetail::kRflags).value & kRflagsIf, 0u);
  const OptionalValue flag = vcpu().exit_detail(ExitDetail::kInterruptFlag);
  EXPECT_TRUE(flag.known);
  EXPECT_EQ(flag.value, 0u);
  EXPECT_EQ(vcpu().exit_detail(ExitDetail::kInterruptShadow).value, 0u);
  EXPECT_FALSE(vcpu().exit_detail(ExitDetail::kGuestPhysicalAddress).known);
  EXPECT_FALSE(vcpu().exit_detail(ExitDetail::kVmxQualification).known);
  EXPECT_FALSE(vcpu().exit_detail(ExitDetail::kSvmInfo1).known);
}

TEST_P(KvmVcpuTest, NothingIsAllocatedBetweenEntries) {
  BEGIN_GUEST(EchoCode());
  vcpu().registers().wanted = kGeneralRegisters;
  Run();
  const std::uint64_t before = allocations;
  for (int i = 0; i < 100; ++i) {
    vcpu().run();
    vcpu().fetch_registers(kAllRegisters);
    vcpu().registers().dirty = kGeneralRegisters;
    vcpu().interrupt_allowed();
  }
  EXPECT_EQ(allocations, before);
}

// In a child, between two calls of getppid: 100 runs. The parent counts what
// the child asks of the kernel.
TEST_P(KvmVcpuTest, OneRunIsOneSystemCall) {
  BEGIN_GUEST(OutLoopCode());
  constexpr int kRuns = 100;
  vm_.reset();
  watchdog_.clear();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    MakeVm(GetParam());
    Start(OutLoopCode());
    vcpu().run();  // binds the thread
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    raise(SIGSTOP);
    syscall(SYS_getppid);
    for (int i = 0; i < kRuns; ++i) vcpu().run();
    syscall(SYS_getppid);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status)) GTEST_SKIP() << "ptrace is not permitted here";
  ASSERT_TRUE(WIFSTOPPED(status));
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD);
  int stops[2] = {};  // KVM_RUN, anything else
  bool counting = false;
  for (;;) {
    ASSERT_EQ(ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) break;
    user_regs_struct registers = {};
    ptrace(PTRACE_GETREGS, child, nullptr, &registers);
    if (registers.orig_rax == SYS_getppid) {
      if (registers.rax == static_cast<unsigned long long>(-ENOSYS)) {
        counting = !counting;  // on its way in
      }
    } else if (counting) {
      const bool is_run =
          registers.orig_rax == SYS_ioctl && registers.rsi == KVM_RUN;
      ++stops[is_run ? 0 : 1];
    }
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(stops[0], 2 * kRuns)
      << "one stop on the way in, one on the way out";
  EXPECT_EQ(stops[1], 0);
}

INSTANTIATE_TEST_SUITE_P(Registers, KvmVcpuTest,
                         testing::Values("ioctl", "sync"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace worldswitch
