// Memory slots on the real /dev/kvm: added, refused, removed under a running
// guest, and what may stand behind them.

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "tests/system/kvm_memory_fixture.h"

namespace worldswitch {
namespace {

// Reads and writes a slot at 0x8000000.
WS_GUEST(ReadWrite,
         "mov $0x8000000, %ebx; mov (%rbx), %rax; movq $0x55, 8(%rbx); hlt")
// Reads it again and again, telling each value, until it is told to stop.
WS_GUEST(Poll,
         "mov $0x8000000, %ebx; 1: mov (%rbx), %eax; cmp $7, %eax; jne 2f;"
         "incq 0x30000; jmp 1b; 2: hlt; jmp 1b")

TEST_F(KvmMemoryTest, ASlotIsReadAndWritten) {
  Make();
  AddSlot(0x10000, kPlainSlot);
  Start(ReadWriteCode());
  memory_[0].data()[0] = std::byte{42};
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rax, 42u);
  EXPECT_EQ(memory_[0].data()[8], std::byte{0x55});
}

TEST_F(KvmMemoryTest, AReadOnlySlotIsReadAndAWriteExits) {
  Make();
  if (!slots_->offers(kReadOnlySlot)) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_READONLY_MEM";
  }
  AddSlot(0x1000, kReadOnlySlot);
  Start(ReadWriteCode());
  memory_[0].data()[0] = std::byte{42};
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kMmio);
  EXPECT_TRUE(exit.mmio.is_write);
  EXPECT_EQ(exit.mmio.gpa, kSlotGpa + 8);
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(memory_[0].data()[8], std::byte{0}) << "not written";
  // Writable from now on.
  ASSERT_EQ(slots_->remove(1), Result::kOk);
  ASSERT_EQ(slots_->add({.slot = 1,
                         .gpa = kSlotGpa,
                         .bytes = 0x1000,
                         .host = memory_[0].data()}),
            Result::kOk);
  Start(ReadWriteCode());
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_EQ(memory_[0].data()[8], std::byte{0x55});
}

TEST_F(KvmMemoryTest, WhatIsRefusedSaysWhy) {
  Make();
  AddSlot(0x2000, kPlainSlot);
  std::byte* const host = memory_[0].data();
  const auto add = [&](std::uint32_t slot, std::uint64_t gpa,
                       std::uint64_t bytes) {
    const Result result =
        slots_->add({.slot = slot, .gpa = gpa, .bytes = bytes, .host = host});
    return result == Result::kOk ? 0 : slots_->last_error();
  };
  EXPECT_EQ(add(1, 0x9000000, 0x1000), EEXIST) << "the slot is there";
  EXPECT_EQ(add(2, kSlotGpa + 0x1000, 0x1000), EEXIST) << "overlap";
  EXPECT_EQ(add(2, 0x9000800, 0x1000), EINVAL) << "not aligned";
  EXPECT_EQ(add(2, 0x9000000, 0), EINVAL);
  EXPECT_EQ(add(slots_->slot_limit(), 0x9000000, 0x1000), EINVAL);
  EXPECT_EQ(slots_->remove(2), Result::kError);
  EXPECT_EQ(slots_->last_error(), ENOENT);
  EXPECT_EQ(slots_->remove(0), Result::kError);
  EXPECT_EQ(slots_->set_flags(2, kLogDirtyPages), Result::kError);
  EXPECT_EQ(slots_->set_flags(1, 0x80), Result::kUnsupported);
  EXPECT_EQ(add(2, 0x9000000, 0x1000), 0);
}

TEST_F(KvmMemoryTest, AsManySlotsAsTheEngineSays) {
  Make();
  const std::uint32_t limit = slots_->slot_limit();
  ASSERT_GE(limit, 32u);
  absl::StatusOr<GuestMemory> page =
      GuestMemory::Create(0x1000, MemoryBacking::kAnonymous);
  ASSERT_TRUE(page.ok());
  page->data()[0] = std::byte{42};
  // One page, seen in each slot, with a hole between any two.
  const auto add = [&](std::uint32_t slot) {
    return slots_->add({.slot = slot,
                        .gpa = kSlotGpa + (slot - 1) * std::uint64_t{0x2000},
                        .bytes = 0x1000,
                        .host = page->data()});
  };
  for (std::uint32_t slot = 1; slot < limit; ++slot) {
    ASSERT_EQ(add(slot), Result::kOk)
        << slot << " of " << limit << ": errno " << slots_->last_error();
  }
  EXPECT_EQ(add(limit), Result::kError);
  RecordProperty("slots", static_cast<int>(limit));
  // The guest sees the first of them, and that one can still go.
  Start(ReadWriteCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rax, 42u);
  ASSERT_EQ(slots_->remove(1), Result::kOk);
  Start(ReadWriteCode());
  EXPECT_EQ(Run().reason, ExitReason::kMmio);
  vm_.reset();
}

TEST_F(KvmMemoryTest, ASlotGoesAwayUnderTheRunningGuest) {
  Make();
  AddSlot(0x1000, kPlainSlot);
  memory_[0].data()[0] = std::byte{7};
  Start(PollCode());
  for (int round = 0; round < 20; ++round) {
    const auto before = Read<std::uint64_t>(0x30000);
    std::thread remover([&] {
      // Once the guest has seen it.
      while (std::atomic_ref(*reinterpret_cast<std::uint64_t*>(
                                 vm_->memory().At(0x30000, 8)))
                 .load() == before) {
        std::this_thread::yield();
      }
      EXPECT_EQ(slots_->remove(1), Result::kOk);
      // Nobody reads it any more: it may be given back at once.
      memory_.clear();
    });
    const Exit exit = Run();
    remover.join();
    ASSERT_EQ(exit.reason, ExitReason::kMmio) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.mmio.gpa, kSlotGpa);
    std::memset(exit.mmio.data, 0, exit.mmio.length);
    ASSERT_EQ(Run().reason, ExitReason::kHlt);
    AddSlot(0x1000, kPlainSlot);
    memory_[0].data()[0] = std::byte{7};
  }
}

class KvmBackingTest : public KvmMemoryTest,
                       public testing::WithParamInterface<MemoryBacking> {};

TEST_P(KvmBackingTest, TheGuestRunsOnIt) {
  VmConfig config;
  config.needs = {.memory_bytes = kMemoryBytes, .vcpus = 1};
  config.backing = GetParam();
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
  if (GetParam() == MemoryBacking::kHugetlb && !vm.ok()) {
    GTEST_SKIP() << vm.status();
  }
  ASSERT_TRUE(vm.ok()) << vm.status();
  vm_ = *std::move(vm);
  WriteTables();
  slots_ = FeatureOf<MemorySlots>(*vm_);
  AddSlot(0x1000, kPlainSlot);
  Start(ReadWriteCode());
  EXPECT_EQ(Run().reason, ExitReason::kHlt);
  // And what was written there can be taken away again.
  ASSERT_EQ(vm_->discard_memory(0, kMemoryBytes), Result::kOk);
  EXPECT_EQ(Read<std::uint64_t>(kCodeGpa), 0u);
}

INSTANTIATE_TEST_SUITE_P(Backings, KvmBackingTest,
                         testing::Values(MemoryBacking::kAnonymous,
                                         MemoryBacking::kHuge,
                                         MemoryBacking::kHugetlb,
                                         MemoryBacking::kMemfd),
                         [](const testing::TestParamInfo<MemoryBacking>& info) {
                           return std::string(MemoryBackingName(info.param));
                         });

}  // namespace
}  // namespace worldswitch
