// Knobs that must move a count: each is set and taken back again, and what the
// engine (or the kernel) counts has to follow both times. Runs on this host's
// /dev/kvm, and in a lab (`worldswitch lab kvm_intel -- kvm_knob_counts_test`),
// where the engine is one that must obey. Only counts are compared, no times.
//
// Where an engine cannot be moved, the test skips with what was seen; in a lab
// only for reasons that are the emulated processor's.

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "core/host/lab_environment.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kTimes = 1000;
// What else the engine may do beside the guest's work: page faults of the
// guest's first touches, exits for the host's own work.
constexpr std::uint64_t kStray = 50;
constexpr std::uint8_t kVector = 0x40;
constexpr std::uint16_t kMarkPort = 0xe0;

// Every guest: a byte to the port, its work RBX times, a byte to the port.

// An interrupt to itself that stays pending up to the HLT.
WS_GUEST(PendingHlt,
         "mov $0x1b, %ecx\n"  // IA32_APIC_BASE: x2APIC
         "mov $0xfee00d00, %eax\n"
         "xor %edx, %edx\n"
         "wrmsr\n"
         "mov $0x80f, %ecx\n"  // spurious vector: the APIC is on
         "mov $0x1ff, %eax\n"
         "wrmsr\n"
         "out %al, $0xe0\n"
         "1: cli\n"
         "mov $0x83f, %ecx\n"  // SELF IPI
         "mov $0x40, %eax\n"
         "xor %edx, %edx\n"
         "wrmsr\n"
         "sti\n"
         "hlt\n"
         "dec %rbx\n"
         "jnz 1b\n"
         "cli\n"
         "out %al, $0xe0\n");
WS_GUEST(EndOfInterrupt,
         "push %rax\n"
         "push %rcx\n"
         "push %rdx\n"
         "mov $0x80b, %ecx\n"
         "xor %eax, %eax\n"
         "xor %edx, %edx\n"
         "wrmsr\n"
         "pop %rdx\n"
         "pop %rcx\n"
         "pop %rax\n"
         "iretq\n");

// A page's mapping is taken away, put back, and the page is touched.
WS_GUEST(Remap,
         "mov $0x20000000, %edi\n"
         "mov %edi, %eax\n"
         "out %al, $0xe0\n"
         "1: movq $0, 0x5800\n"
         "invlpg (%rdi)\n"
         "movq $0x83, 0x5800\n"
         "mov (%rdi), %al\n"
         "dec %rbx\n"
         "jnz 1b\n"
         "out %al, $0xe0\n");

WS_GUEST(Pauses,
         "out %al, $0xe0\n"
         "1: pause\n"
         "dec %rbx\n"
         "jnz 1b\n"
         "out %al, $0xe0\n");

WS_GUEST(ReadsTscAdjust,
         "mov $0x3b, %ecx\n"
         "out %al, $0xe0\n"
         "1: rdmsr\n"
         "dec %rbx\n"
         "jnz 1b\n"
         "out %al, $0xe0\n");

// Of the first interrupt controller, its mask.
WS_GUEST(ReadsPicMask,
         "out %al, $0xe0\n"
         "1: in $0x21, %al\n"
         "dec %rbx\n"
         "jnz 1b\n"
         "out %al, $0xe0\n");

// An exit behind which nothing is left to complete, so that no call but those
// for the registers stands beside KVM_RUN.
WS_GUEST(HltForEver, "1: hlt\njmp 1b\n");

// Between the two marks.
struct Counts {
  std::uint64_t exits = 0;  // without those for the host's interrupts
  std::uint64_t halt_exits = 0;
  std::uint64_t pf_taken = 0;
  std::uint64_t io = 0;     // to the caller, the last mark left out
  std::uint64_t rdmsr = 0;  // to the caller
  bool counted = false;     // by the engine: the first three
};

std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << "exits=" << counts.exits << " halt_exits=" << counts.halt_exits
             << " pf_taken=" << counts.pf_taken << " io=" << counts.io
             << " rdmsr=" << counts.rdmsr;
}

bool InLab() { return ThisLab().has_value(); }

// In a lab the engine is one that must obey.
#define SKIP_OR_FAIL_IN_LAB(why)  \
  do {                            \
    if (InLab()) FAIL() << (why); \
    GTEST_SKIP() << (why);        \
  } while (false)

class KvmKnobCountsTest : public KvmTest {
 protected:
  // A new VM with these knobs. On trouble the test has failed, and nothing was
  // counted.
  Counts Count(const KnobSettings& knobs,
               const std::vector<unsigned char>& code,
               std::uint64_t times = kTimes) {
    Counts counts;
    VmConfig config;
    config.needs.memory_bytes = kMemoryBytes;
    config.knobs = knobs;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    EXPECT_TRUE(vm.ok()) << vm.status();
    if (!vm.ok()) return counts;
    vm_ = *std::move(vm);
    WriteTables();
    Load(kHandlerGpa, EndOfInterruptCode());
    SetGate(kVector, kHandlerGpa);
    Start(code);
    general().rbx = times;
    vcpu().registers().dirty = kGeneralRegisters;
    if (!RunToMark(nullptr)) return counts;
    const Counts before = EngineCounts();
    if (!RunToMark(&counts)) return counts;
    const Counts after = EngineCounts();
    counts.counted = before.counted && after.counted;
    counts.exits = after.exits - before.exits;
    counts.halt_exits = after.halt_exits - before.halt_exits;
    counts.pf_taken = after.pf_taken - before.pf_taken;
    return counts;
  }

  const Knob* Find(const std::string& name) const {
    return backend_->knobs().Find(name);
  }
  // Why it cannot be set; "" where it can.
  std::string NotSettable(const std::string& name) const {
    const Knob* const knob = Find(name);
    return knob == nullptr
               ? "no knob " + name + " on engine " + backend_->engine()
               : knob->not_settable;
  }

 private:
  bool RunToMark(Counts* counts) {
    Watchdog watchdog(vcpu().kick_handle());
    while (!watchdog.fired()) {
      Exit exit = vcpu().run();
      switch (exit.reason) {
        case ExitReason::kInterrupted:
        case ExitReason::kRetry:
          break;
        case ExitReason::kIo:
          if (exit.io.port == kMarkPort) return true;
          if (counts != nullptr) ++counts->io;
          break;
        case ExitReason::kRdmsr:
          *exit.msr.data = 0;
          *exit.msr.inject_gp = 0;
          if (counts != nullptr) ++counts->rdmsr;
          break;
        default:
          ADD_FAILURE() << ExitReasonName(exit.reason) << ": "
                        << vm_->Explain(exit);
          return false;
      }
    }
    return false;
  }
  Counts EngineCounts() {
    const OptionalValue exits = vm_->counter(Counter::kExits, 0);
    const OptionalValue interrupts =
        vm_->counter(Counter::kExternalIrqExits, 0);
    const OptionalValue halts = vm_->counter(Counter::kHaltExits, 0);
    const OptionalValue faults = vm_->counter(Counter::kPageFaultsTaken, 0);
    Counts counts;
    counts.counted = exits.known && halts.known && faults.known;
    counts.exits = exits.value - interrupts.value;
    counts.halt_exits = halts.value;
    counts.pf_taken = faults.value;
    return counts;
  }
};

TEST_F(KvmKnobCountsTest, WithoutHltExitsThereIsOneExitFewerForEachHlt) {
  if (const std::string why = NotSettable("disable_exits"); !why.empty()) {
    SKIP_OR_FAIL_IN_LAB(why);
  }
  const KnobSettings with = {{"irqchip", "full"}};
  const KnobSettings without = {{"irqchip", "full"}, {"disable_exits", "hlt"}};
  const Counts first = Count(with, PendingHltCode());
  const Counts off = Count(without, PendingHltCode());
  const Counts again = Count(with, PendingHltCode());
  if (HasFailure()) return;
  std::cout << "HLT exits on: " << first << "\nHLT exits off: " << off << "\n";
  if (!first.counted) SKIP_OR_FAIL_IN_LAB("the engine counts no exits");
  EXPECT_EQ(first.halt_exits, kTimes);
  EXPECT_EQ(again.halt_exits, kTimes);
  if (off.halt_exits == kTimes) {
    SKIP_OR_FAIL_IN_LAB(
        "the engine accepts disable_exits=hlt, and counts an exit for every "
        "HLT as before");
  }
  EXPECT_EQ(off.halt_exits, 0u);
  EXPECT_NEAR(static_cast<double>(first.exits - off.exits), kTimes, kStray);
  EXPECT_NEAR(static_cast<double>(again.exits - off.exits), kTimes, kStray);
}

// The parameter is read when the module is loaded, so that a process sees one
// direction; the two boots of the labs' tests see both.
TEST_F(KvmKnobCountsTest, NestedPagingSavesThePageFaultExits) {
  const bool amd = backend_->engine() == "kvm_amd";
  const Knob* const knob = Find(amd ? "kvm_amd.npt" : "kvm_intel.ept");
  if (knob == nullptr) {
    SKIP_OR_FAIL_IN_LAB("engine " + backend_->engine() +
                        " has neither EPT nor NPT to turn off");
  }
  const absl::StatusOr<bool> nested = ParseKnobBool(knob->current_value);
  ASSERT_TRUE(nested.ok()) << knob->current_value;
  const Counts counts = Count({}, RemapCode());
  if (HasFailure()) return;
  std::cout << knob->name << (*nested ? " on: " : " off: ") << counts << "\n";
  ASSERT_TRUE(counts.counted);
  if (*nested) {
    EXPECT_LT(counts.pf_taken, kStray);
    EXPECT_LT(counts.exits, kStray);
  } else {
    EXPECT_GE(counts.pf_taken, kTimes);
    EXPECT_GE(counts.exits, kTimes);
  }
}

TEST_F(KvmKnobCountsTest, WithoutPauseExitsASpinningGuestIsLeftAlone) {
  constexpr std::uint64_t kPauses = 20'000;
  constexpr std::uint64_t kFewest = 3;  // with KVM's default, growing window
  if (const Knob* const threshold = Find("kvm_amd.pause_filter_thresh");
      threshold != nullptr && threshold->current_value == "0") {
    GTEST_SKIP() << "kvm_amd.pause_filter_thresh is 0: this processor has no "
                    "pause filter, so that kvm_amd does not intercept PAUSE at "
                    "all (QEMU and Bochs alike)";
  }
  const Knob* const gap = Find("kvm_intel.ple_gap");
  if (gap == nullptr) {
    SKIP_OR_FAIL_IN_LAB("engine " + backend_->engine() +
                        " takes no exits for PAUSE: it has no ple_gap");
  }
  if (gap->current_value == "0") {  // pause-loop exiting is off, by the module
    const Counts none = Count({}, PausesCode(), kPauses);
    std::cout << gap->name << "=0: " << none << "\n";
    ASSERT_TRUE(none.counted);
    EXPECT_LT(none.exits, kFewest);
    return;
  }
  if (const std::string why = NotSettable("disable_exits"); !why.empty()) {
    SKIP_OR_FAIL_IN_LAB(why);
  }
  const Counts first = Count({}, PausesCode(), kPauses);
  const Counts off = Count({{"disable_exits", "pause"}}, PausesCode(), kPauses);
  const Counts again = Count({}, PausesCode(), kPauses);
  if (HasFailure()) return;
  ASSERT_TRUE(first.counted);
  std::cout << "PAUSE exits on: " << first << "\nPAUSE exits off: " << off
            << "\n";
  EXPECT_GE(first.exits, off.exits + kFewest);
  EXPECT_GE(again.exits, off.exits + kFewest);
}

TEST_F(KvmKnobCountsTest, ADeniedMsrIsAnExitToTheCallerForEachRdmsr) {
  for (const char* knob : {"msr_exits", "msr_deny"}) {
    if (const std::string why = NotSettable(knob); !why.empty()) {
      SKIP_OR_FAIL_IN_LAB(why);
    }
  }
  const KnobSettings deny = {{"msr_exits", "filtered"}, {"msr_deny", "0x3b"}};
  EXPECT_EQ(Count({}, ReadsTscAdjustCode()).rdmsr, 0u);
  EXPECT_EQ(Count(deny, ReadsTscAdjustCode()).rdmsr, kTimes);
  EXPECT_EQ(Count({}, ReadsTscAdjustCode()).rdmsr, 0u);
}

TEST_F(KvmKnobCountsTest, AnInterruptControllerInTheEngineSavesItsExits) {
  if (const std::string why = NotSettable("irqchip"); !why.empty()) {
    SKIP_OR_FAIL_IN_LAB(why);
  }
  const KnobSettings none = {{"irqchip", "none"}};
  const KnobSettings full = {{"irqchip", "full"}};
  EXPECT_EQ(Count(none, ReadsPicMaskCode()).io, kTimes);
  EXPECT_EQ(Count(full, ReadsPicMaskCode()).io, 0u);
  EXPECT_EQ(Count(none, ReadsPicMaskCode()).io, kTimes);
  // The PIC stays with the caller where only the APICs are the engine's.
  const std::vector<std::string>& offered = Find("irqchip")->choices;
  if (std::find(offered.begin(), offered.end(), "split") != offered.end()) {
    EXPECT_EQ(Count({{"irqchip", "split"}}, ReadsPicMaskCode()).io, kTimes);
  }
}

// ---- System calls

// The end of a traced child in which nothing went wrong; where the kernel lets
// nobody trace; anything else is a failure.
constexpr int kCounted = 0;
constexpr int kNoTracing = 77;

class KvmRegisterCallsTest : public KvmTest {
 protected:
  // System calls of kTimes rounds that read and change RAX, by their numbers,
  // counted by ptrace. *code: see above.
  std::map<long, std::uint64_t> Calls(const std::string& registers, int* code) {
    std::cout << std::flush;
    const pid_t child = fork();
    if (child == 0) Child(registers);
    std::map<long, std::uint64_t> calls;
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) {
      *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      return calls;
    }
    ptrace(PTRACE_SETOPTIONS, child, nullptr,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    constexpr int kSystemCallStop = SIGTRAP | 0x80;
    int marks = 0;
    bool entering = true;
    long signal = 0;
    for (;;) {
      ptrace(PTRACE_SYSCALL, child, nullptr, signal);
      if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
      signal = WSTOPSIG(status) == kSystemCallStop ? 0 : WSTOPSIG(status);
      if (signal != 0) continue;
      if (entering) {
        user_regs_struct state = {};
        ptrace(PTRACE_GETREGS, child, nullptr, &state);
        const long number = static_cast<long>(state.orig_rax);
        if (number == SYS_getppid) {
          ++marks;
        } else if (marks == 1) {
          ++calls[number];
        }
      }
      entering = !entering;
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return calls;
  }

 private:
  [[noreturn]] void Child(const std::string& registers) {
    constexpr int kFailed = 1;
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNoTracing);
    raise(SIGSTOP);
    MakeVm(registers);
    if (vm_ == nullptr) _exit(kFailed);
    Start(HltForEverCode());
    vcpu().registers().wanted = kGeneralRegisters;
    const auto round = [this] {
      if (vcpu().run().reason != ExitReason::kHlt) _exit(kFailed);
      ++general().rax;
      vcpu().registers().dirty = kGeneralRegisters;
    };
    round();
    syscall(SYS_getppid);
    for (std::uint64_t i = 0; i < kTimes; ++i) round();
    syscall(SYS_getppid);
    _exit(HasFailure() ? kFailed : kCounted);
  }
};

TEST_F(KvmRegisterCallsTest, RegistersInTheSharedPageSaveSystemCalls) {
  if (const Knob* knob = backend_->knobs().Find("registers");
      !knob->not_settable.empty()) {
    SKIP_OR_FAIL_IN_LAB(knob->not_settable);
  }
  for (const char* registers : {"ioctl", "sync", "ioctl"}) {
    int code = -1;
    const std::map<long, std::uint64_t> calls = Calls(registers, &code);
    if (code == kNoTracing) SKIP_OR_FAIL_IN_LAB("ptrace is not allowed here");
    ASSERT_EQ(code, kCounted) << registers;
    ASSERT_EQ(calls.size(), 1u) << registers << ": others than ioctl";
    const std::uint64_t ioctls = calls.at(SYS_ioctl);
    std::cout << "registers=" << registers << ": " << ioctls << " ioctls in "
              << kTimes << " rounds\n";
    // KVM_RUN alone; or KVM_GET_REGS and KVM_SET_REGS beside it.
    EXPECT_EQ(ioctls, std::string(registers) == "sync" ? kTimes : 3 * kTimes);
  }
}

}  // namespace
}  // namespace worldswitch
