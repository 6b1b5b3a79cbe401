// Exits decoded from made-up kvm_run pages; needs no /dev/kvm.

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "backends/kvm/exit_decode.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

class ExitDecodeTest : public testing::Test {
 protected:
  // A page as KVM shares it, larger than kvm_run: PIO data lie behind it.
  static constexpr std::size_t kPageBytes = 3 * 4096;

  Exit Decode(std::uint32_t exit_reason) {
    run().exit_reason = exit_reason;
    return DecodeExit(run());
  }
  kvm_run& run() { return *reinterpret_cast<kvm_run*>(bytes_); }

  // As the kernel reads it: whatever the type it was written with.
  std::uint64_t WordAt(std::size_t offset) const {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes_ + offset, sizeof(word));
    return word;
  }

  alignas(4096) std::byte bytes_[kPageBytes] = {};
};

TEST_F(ExitDecodeTest, IoCarriesPortSizeCountAndBorrowsItsData) {
  run().io.direction = KVM_EXIT_IO_OUT;
  run().io.size = 2;
  run().io.port = 0xCF8;
  run().io.count = 16;
  run().io.data_offset = 4096;
  const Exit exit = Decode(KVM_EXIT_IO);
  EXPECT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_EQ(exit.raw, 2u);
  EXPECT_EQ(exit.io.port, 0xCF8);
  EXPECT_EQ(exit.io.size, 2);
  EXPECT_EQ(exit.io.count, 16u);
  EXPECT_TRUE(exit.io.is_write);
  EXPECT_EQ(exit.io.data, bytes_ + 4096);
  run().io.direction = KVM_EXIT_IO_IN;
  EXPECT_FALSE(Decode(KVM_EXIT_IO).io.is_write);
}

TEST_F(ExitDecodeTest, MmioCarriesAddressLengthAndDirection) {
  run().mmio.phys_addr = 0xFEC00010;
  run().mmio.len = 8;
  run().mmio.is_write = 1;
  const Exit exit = Decode(KVM_EXIT_MMIO);
  EXPECT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_EQ(exit.raw, 6u);
  EXPECT_EQ(exit.mmio.gpa, 0xFEC00010u);
  EXPECT_EQ(exit.mmio.length, 8u);
  EXPECT_TRUE(exit.mmio.is_write);
  EXPECT_EQ(exit.mmio.data, run().mmio.data);
}

TEST_F(ExitDecodeTest, MsrGivesPlacesForTheAnswer) {
  run().msr.index = 0x10;
  run().msr.reason = KVM_MSR_EXIT_REASON_FILTER;
  run().msr.data = 7;
  for (const auto& [code, reason] :
       {std::pair(KVM_EXIT_X86_RDMSR, ExitReason::kRdmsr),
        std::pair(KVM_EXIT_X86_WRMSR, ExitReason::kWrmsr)}) {
    const Exit exit = Decode(static_cast<std::uint32_t>(code));
    EXPECT_EQ(exit.reason, reason);
    EXPECT_EQ(exit.msr.index, 0x10u);
    EXPECT_EQ(exit.msr.engine_reason, 4u);
    EXPECT_EQ(*exit.msr.data, 7u);
    *exit.msr.data = 9;
    *exit.msr.inject_gp = 1;
    EXPECT_EQ(WordAt(offsetof(kvm_run, msr.data)), 9u);
    EXPECT_EQ(run().msr.error, 1);
    run().msr.data = 7;
  }
}

TEST_F(ExitDecodeTest, HypercallGivesArgumentsAndPlaceForTheResult) {
  run().hypercall.nr = 12;
  run().hypercall.args[5] = 77;
  const Exit exit = Decode(KVM_EXIT_HYPERCALL);
  EXPECT_EQ(exit.reason, ExitReason::kHypercall);
  EXPECT_EQ(exit.hypercall.number, 12u);
  ASSERT_EQ(exit.hypercall.argument_count, 6u);
  EXPECT_EQ(exit.hypercall.arguments[5], 77u);
  *exit.hypercall.result = 5;
  EXPECT_EQ(WordAt(offsetof(kvm_run, hypercall.ret)), 5u);
}

TEST_F(ExitDecodeTest, SmallPayloads) {
  run().ex.exception = 14;
  run().ex.error_code = 3;
  Exit exit = Decode(KVM_EXIT_EXCEPTION);
  EXPECT_EQ(exit.exception.vector, 14u);
  EXPECT_EQ(exit.exception.error_code, 3u);

  run().debug.arch.pc = 0x1234;
  run().debug.arch.dr6 = 0x4000;
  run().debug.arch.dr7 = 0x400;
  run().debug.arch.exception = 1;
  exit = Decode(KVM_EXIT_DEBUG);
  EXPECT_EQ(exit.debug.pc, 0x1234u);
  EXPECT_EQ(exit.debug.dr6, 0x4000u);
  EXPECT_EQ(exit.debug.dr7, 0x400u);
  EXPECT_EQ(exit.debug.exception, 1u);

  run().fail_entry.hardware_entry_failure_reason = 0x80000021;
  run().fail_entry.cpu = 3;
  exit = Decode(KVM_EXIT_FAIL_ENTRY);
  EXPECT_EQ(exit.entry_failure.hardware_reason, 0x80000021u);
  EXPECT_EQ(exit.entry_failure.cpu, 3u);

  run().internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
  run().internal.ndata = 2;
  run().internal.data[1] = 11;
  exit = Decode(KVM_EXIT_INTERNAL_ERROR);
  EXPECT_EQ(exit.internal_error.suberror, 1u);
  ASSERT_EQ(exit.internal_error.data_count, 2u);
  EXPECT_EQ(exit.internal_error.data[1], 11u);

  run().system_event.type = KVM_SYSTEM_EVENT_RESET;
  run().system_event.ndata = 1;
  run().system_event.data[0] = 4;
  exit = Decode(KVM_EXIT_SYSTEM_EVENT);
  EXPECT_EQ(exit.system_event.type, 2u);
  ASSERT_EQ(exit.system_event.data_count, 1u);
  EXPECT_EQ(exit.system_event.data[0], 4u);

  run().tpr_access.rip = 0x7000;
  run().tpr_access.is_write = 1;
  exit = Decode(KVM_EXIT_TPR_ACCESS);
  EXPECT_EQ(exit.tpr_access.rip, 0x7000u);
  EXPECT_TRUE(exit.tpr_access.is_write);

  run().eoi.vector = 0x31;
  EXPECT_EQ(Decode(KVM_EXIT_IOAPIC_EOI).ioapic_eoi.vector, 0x31);
  run().notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
  EXPECT_EQ(Decode(KVM_EXIT_NOTIFY).notify.flags, 1u);
  EXPECT_EQ(Decode(KVM_EXIT_HYPERV).opaque, &run().hyperv);
  EXPECT_EQ(Decode(KVM_EXIT_XEN).opaque, &run().xen);
  EXPECT_EQ(Decode(KVM_EXIT_INTR).error.error_number, EINTR);

  run().hw.hardware_exit_reason = 0x55;
  exit = Decode(KVM_EXIT_UNKNOWN);
  EXPECT_EQ(exit.reason, ExitReason::kUnknown);
  EXPECT_EQ(exit.raw, 0u);
  EXPECT_EQ(exit.entry_failure.hardware_reason, 0x55u);
}

struct Expected {
  std::uint32_t code;
  ExitReason reason;
  const char* name;
};

TEST_F(ExitDecodeTest, EveryCodeHasItsReasonAndItsRawCode) {
  constexpr ExitReason kOther = ExitReason::kOtherArchitecture;
  const Expected all[] = {
      {0, ExitReason::kUnknown, "KVM_EXIT_UNKNOWN"},
      {1, ExitReason::kException, "KVM_EXIT_EXCEPTION"},
      {2, ExitReason::kIo, "KVM_EXIT_IO"},
      {3, ExitReason::kHypercall, "KVM_EXIT_HYPERCALL"},
      {4, ExitReason::kDebug, "KVM_EXIT_DEBUG"},
      {5, ExitReason::kHlt, "KVM_EXIT_HLT"},
      {6, ExitReason::kMmio, "KVM_EXIT_MMIO"},
      {7, ExitReason::kIrqWindow, "KVM_EXIT_IRQ_WINDOW_OPEN"},
      {8, ExitReason::kShutdown, "KVM_EXIT_SHUTDOWN"},
      {9, ExitReason::kEntryFailure, "KVM_EXIT_FAIL_ENTRY"},
      {10, ExitReason::kInterrupted, "KVM_EXIT_INTR"},
      {11, ExitReason::kSetTpr, "KVM_EXIT_SET_TPR"},
      {12, ExitReason::kTprAccess, "KVM_EXIT_TPR_ACCESS"},
      {13, kOther, "KVM_EXIT_S390_SIEIC"},
      {14, kOther, "KVM_EXIT_S390_RESET"},
      {15, kOther, "KVM_EXIT_DCR"},
      {16, ExitReason::kNmi, "KVM_EXIT_NMI"},
      {17, ExitReason::kInternalError, "KVM_EXIT_INTERNAL_ERROR"},
      {18, kOther, "KVM_EXIT_OSI"},
      {19, kOther, "KVM_EXIT_PAPR_HCALL"},
      {20, kOther, "KVM_EXIT_S390_UCONTROL"},
      {21, ExitReason::kWatchdog, "KVM_EXIT_WATCHDOG"},
      {22, kOther, "KVM_EXIT_S390_TSCH"},
      {23, kOther, "KVM_EXIT_EPR"},
      {24, ExitReason::kSystemEvent, "KVM_EXIT_SYSTEM_EVENT"},
      {25, kOther, "KVM_EXIT_S390_STSI"},
      {26, ExitReason::kIoapicEoi, "KVM_EXIT_IOAPIC_EOI"},
      {27, ExitReason::kHyperv, "KVM_EXIT_HYPERV"},
      {28, kOther, "KVM_EXIT_ARM_NISV"},
      {29, ExitReason::kRdmsr, "KVM_EXIT_X86_RDMSR"},
      {30, ExitReason::kWrmsr, "KVM_EXIT_X86_WRMSR"},
      {31, ExitReason::kDirtyRingFull, "KVM_EXIT_DIRTY_RING_FULL"},
      {32, ExitReason::kApReset, "KVM_EXIT_AP_RESET_HOLD"},
      {33, ExitReason::kBusLock, "KVM_EXIT_X86_BUS_LOCK"},
      {34, ExitReason::kXen, "KVM_EXIT_XEN"},
      {35, kOther, "KVM_EXIT_RISCV_SBI"},
      {36, kOther, "KVM_EXIT_RISCV_CSR"},
      {37, ExitReason::kNotify, "KVM_EXIT_NOTIFY"},
      {38, kOther, "KVM_EXIT_LOONGARCH_IOCSR"},
      {39, ExitReason::kUnknown, "KVM_EXIT_MEMORY_FAULT"},
      {40, ExitReason::kUnknown, "KVM_EXIT_TDX"},
      {41, kOther, "KVM_EXIT_ARM_SEA"},
      {42, ExitReason::kUnknown, "KVM_EXIT_<unknown>"},
      {0xFFFFFFFF, ExitReason::kUnknown, "KVM_EXIT_<unknown>"},
  };
  for (const Expected& expected : all) {
    const Exit exit = Decode(expected.code);
    EXPECT_EQ(exit.reason, expected.reason) << expected.code;
    EXPECT_EQ(exit.raw, expected.code);
    EXPECT_STREQ(KvmExitName(expected.code), expected.name);
    // Out of line it is the same.
    EXPECT_EQ(DecodeRareExit(run()).reason, expected.reason) << expected.code;
  }
}

TEST_F(ExitDecodeTest, OnlyExitsThatKvmCompletesAreIncomplete) {
  for (const std::uint32_t code :
       {KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_HYPERCALL, KVM_EXIT_X86_RDMSR,
        KVM_EXIT_X86_WRMSR, KVM_EXIT_XEN, KVM_EXIT_HYPERV}) {
    EXPECT_TRUE(IsCompletedByNextRun(code)) << KvmExitName(code);
  }
  for (const std::uint32_t code :
       {KVM_EXIT_UNKNOWN, KVM_EXIT_HLT, KVM_EXIT_IRQ_WINDOW_OPEN,
        KVM_EXIT_SHUTDOWN, KVM_EXIT_INTR, KVM_EXIT_INTERNAL_ERROR}) {
    EXPECT_FALSE(IsCompletedByNextRun(code)) << KvmExitName(code);
  }
  EXPECT_TRUE(IsCompletedByNextRun(1000)) << "a code of the future";
}

TEST_F(ExitDecodeTest, FailedRunsAreFourDifferentThings) {
  run().exit_reason = KVM_EXIT_IO;
  Exit exit = DecodeFailedRun(run(), EINTR);
  EXPECT_EQ(exit.reason, ExitReason::kInterrupted);
  EXPECT_EQ(exit.raw, 10u);
  EXPECT_EQ(exit.error.error_number, EINTR);

  exit = DecodeFailedRun(run(), EAGAIN);
  EXPECT_EQ(exit.reason, ExitReason::kRetry);
  EXPECT_EQ(exit.error.error_number, EAGAIN);

  exit = DecodeFailedRun(run(), EINVAL);
  EXPECT_EQ(exit.reason, ExitReason::kError);
  EXPECT_EQ(exit.error.error_number, EINVAL);

  exit = DecodeFailedRun(run(), EFAULT);
  EXPECT_EQ(exit.reason, ExitReason::kError) << "no memory fault filled in";
  EXPECT_EQ(exit.error.error_number, EFAULT);
}

// The page keeps the reason of an earlier exit: only with the errno of a memory
// fault is it one, and of a run that returned 0 it never is.
TEST_F(ExitDecodeTest, StaleMemoryFaultIsNotTaken) {
  const KvmMemoryFault fault = {.flags = 8, .gpa = 0x5000, .size = 0x1000};
  std::memcpy(run().padding, &fault, sizeof(fault));
  run().exit_reason = kKvmExitMemoryFault;
  for (const int error_number :
       {EINVAL, ENOSPC, EIO, ENOMEM, EBUSY, EPERM, ENOENT, EOPNOTSUPP, EBADF}) {
    const Exit exit = DecodeFailedRun(run(), error_number);
    EXPECT_EQ(exit.reason, ExitReason::kError) << error_number;
    EXPECT_EQ(exit.error.error_number, error_number);
  }
  EXPECT_EQ(DecodeFailedRun(run(), EINTR).reason, ExitReason::kInterrupted);
  EXPECT_EQ(DecodeFailedRun(run(), EAGAIN).reason, ExitReason::kRetry);
  EXPECT_EQ(DecodeExit(run()).reason, ExitReason::kUnknown);
  EXPECT_EQ(DecodeExit(run()).raw, kKvmExitMemoryFault);
}

// The other way round: EFAULT with the reason of an earlier exit in the page.
TEST_F(ExitDecodeTest, EfaultWithAnotherReasonIsAnError) {
  for (const std::uint32_t code :
       {KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_UNKNOWN, KVM_EXIT_X86_RDMSR}) {
    run().exit_reason = code;
    for (const int error_number : {EFAULT, EHWPOISON}) {
      const Exit exit = DecodeFailedRun(run(), error_number);
      EXPECT_EQ(exit.reason, ExitReason::kError) << KvmExitName(code);
      EXPECT_EQ(exit.error.error_number, error_number);
    }
  }
}

TEST_F(ExitDecodeTest, BusLockIsAnExitAndAFlagOfAnyExit) {
  EXPECT_EQ(Decode(KVM_EXIT_X86_BUS_LOCK).reason, ExitReason::kBusLock);
  EXPECT_FALSE(SawBusLock(run()));
  // Another exit came first: only the flag tells.
  run().flags = KVM_RUN_X86_BUS_LOCK;
  EXPECT_EQ(Decode(KVM_EXIT_IO).reason, ExitReason::kIo);
  EXPECT_TRUE(SawBusLock(run()));
  run().flags = KVM_RUN_X86_SMM;
  EXPECT_FALSE(SawBusLock(run()));
}

TEST_F(ExitDecodeTest, MemoryFaultOnlyWithItsErrors) {
  const KvmMemoryFault fault = {.flags = 8, .gpa = 0x5000, .size = 0x1000};
  std::memcpy(run().padding, &fault, sizeof(fault));
  run().exit_reason = kKvmExitMemoryFault;
  for (const int error_number : {EFAULT, EHWPOISON}) {
    const Exit exit = DecodeFailedRun(run(), error_number);
    EXPECT_EQ(exit.reason, ExitReason::kMemoryFault);
    EXPECT_EQ(exit.raw, 39u);
    EXPECT_EQ(exit.memory_fault.gpa, 0x5000u);
    EXPECT_EQ(exit.memory_fault.size, 0x1000u);
    EXPECT_EQ(exit.memory_fault.flags, 8u);
    EXPECT_EQ(exit.memory_fault.error_number, error_number);
  }
  EXPECT_EQ(DecodeFailedRun(run(), EINTR).reason, ExitReason::kInterrupted);
  EXPECT_EQ(DecodeFailedRun(run(), EIO).reason, ExitReason::kError);
}

}  // namespace
}  // namespace worldswitch
