// Memory slots and dirty logging on the real /dev/kvm.

#include <cerrno>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/features/dirty_log.h"
#include "core/features/memory_slots.h"
#include "core/host/guest_memory.h"
#include "gmock/gmock.h"
#include "guests/guests.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;

// Reads and writes a slot at 0x8000000.
WS_GUEST(ReadWrite,
         "mov $0x8000000, %ebx; mov (%rbx), %rax; movq $0x55, 8(%rbx); hlt")
// Reads it again and again, telling each value, until it is told to stop.
WS_GUEST(Poll,
         "mov $0x8000000, %ebx; 1: mov (%rbx), %eax; cmp $7, %eax; jne 2f;"
         "incq 0x30000; jmp 1b; 2: hlt; jmp 1b")
// Writes a byte to every 0x3000th byte, count times from the start.
WS_GUEST(Stride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; hlt")
// Writes to page after page, for ever: 0x800 of them, round and round. Slowly,
// since an engine that emulates ring 0 in batches of some 1000 instructions
// looks at the ring between batches only, and a ring has 64 entries to spare.
WS_GUEST(Sweep,
         "xor %ecx, %ecx; 1: mov %ecx, %ebx; and $0x7FF000, %ebx;"
         "movb $1, 0x8000000(%rbx); add $0x1000, %ecx; .rept 40; nop; .endr;"
         "jmp 1b")

// The same at CPL 3, made for LoadCode.
WS_GUEST(UserStride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; out %al, $0xe1")

constexpr std::uint64_t kSlotGpa = 0x8000000;

class KvmMemoryTest : public KvmTest {
 protected:
  void Make(const KnobSettings& knobs = {},
            MemoryBacking backing = MemoryBacking::kAnonymous) {
    VmConfig config;
    config.needs = {.memory_bytes = kMemoryBytes, .vcpus = 1};
    config.knobs = knobs;
    config.backing = backing;
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    ASSERT_TRUE(vm.ok()) << vm.status();
    vm_ = *std::move(vm);
    WriteTables();
    slots_ = FeatureOf<MemorySlots>(*vm_);
    log_ = FeatureOf<DirtyLog>(*vm_);
    ASSERT_NE(slots_, nullptr);
    ASSERT_NE(log_, nullptr);
  }
  void AddSlot(std::uint64_t bytes, SlotFlags flags, std::uint32_t slot = 1,
               std::uint64_t gpa = kSlotGpa) {
    absl::StatusOr<GuestMemory> memory =
        GuestMemory::Create(bytes, MemoryBacking::kAnonymous);
    ASSERT_TRUE(memory.ok()) << memory.status();
    memory_.push_back(*std::move(memory));
    ASSERT_EQ(slots_->add({.slot = slot,
                           .gpa = gpa,
                           .bytes = bytes,
                           .host = memory_.back().data(),
                           .flags = flags}),
              Result::kOk)
        << "errno " << slots_->last_error();
  }
  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    return vcpu().run();
  }
  std::vector<std::uint64_t> DirtyPages(std::uint32_t slot) {
    std::vector<std::uint64_t> bitmap(
        DirtyBitmapWords(slots_->slot_bytes(slot)));
    EXPECT_EQ(log_->get(slot, bitmap.data(), bitmap.size()), Result::kOk)
        << "errno " << log_->last_error();
    std::vector<std::uint64_t> pages;
    for (std::size_t page = 0; page < bitmap.size() * 64; ++page) {
      if ((bitmap[page / 64] >> page % 64 & 1) != 0) pages.push_back(page);
    }
    return pages;
  }

  // The memory goes after the VM.
  void TearDown() override {
    vm_.reset();
    memory_.clear();
  }

  MemorySlots* slots_ = nullptr;
  DirtyLog* log_ = nullptr;
  std::vector<GuestMemory> memory_;
};

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
    const std::uint64_t before = Read<std::uint64_t>(0x30000);
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

TEST_F(KvmMemoryTest, TheDirtyLogNamesExactlyThePagesWritten) {
  Make();
  AddSlot(0x20000, kLogDirtyPages);
  Start(StrideCode());
  EXPECT_THAT(DirtyPages(1), ElementsAre());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  EXPECT_THAT(DirtyPages(1), ElementsAre()) << "told once";
  Start(StrideCode());  // watched again
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  // Not watched any more.
  ASSERT_EQ(slots_->set_flags(1, kPlainSlot), Result::kOk);
  std::uint64_t bitmap = 0;
  EXPECT_EQ(log_->get(1, &bitmap, 1), Result::kError);
  EXPECT_EQ(log_->last_error(), ENOENT);
  EXPECT_EQ(log_->get(9, &bitmap, 1), Result::kError);
}

TEST_F(KvmMemoryTest, TheDirtyLogNamesWhatRing3Wrote) {
  Make();
  AddSlot(0x20000, kLogDirtyPages);
  for (int round = 0; round < 2; ++round) {
    const std::vector<unsigned char> code = UserStrideCode();
    ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                       static_cast<std::uint32_t>(code.size())),
              Result::kOk);
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    ASSERT_EQ(exit.io.port, WS_PORT_DONE);
    EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  }
}

TEST_F(KvmMemoryTest, TheMainMemoryCanBeWatchedToo) {
  Make();
  Start(PollCode());
  AddSlot(0x1000, kPlainSlot);
  ASSERT_EQ(slots_->set_flags(0, kLogDirtyPages), Result::kOk);
  ASSERT_EQ(Run().reason, ExitReason::kHlt);  // the slot holds no 7
  DirtyPages(0);  // the page tables' accessed and dirty bits, and the like
  memory_[0].data()[0] = std::byte{7};
  std::thread stop([this] {
    while (Read<std::uint64_t>(0x30000) == 0) std::this_thread::yield();
    vcpu().kick_handle().Kick();
  });
  ASSERT_EQ(Run().reason, ExitReason::kInterrupted);
  stop.join();
  EXPECT_THAT(DirtyPages(0), ::testing::Contains(0x30u));
}

TEST_F(KvmMemoryTest, WithManualProtectPagesStayDirtyUntilCleared) {
  Make();
  const Result manual = log_->use_manual_protect(false);
  if (manual == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2";
  }
  ASSERT_EQ(manual, Result::kOk);
  AddSlot(0x20000, kLogDirtyPages);
  Start(StrideCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12)) << "told again";
  const std::uint64_t some = 1u << 0 | 1u << 6;
  ASSERT_EQ(log_->clear(1, 0, 32, &some), Result::kOk) << log_->last_error();
  EXPECT_THAT(DirtyPages(1), ElementsAre(3, 9, 12));
  Start(StrideCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
}

TEST_F(KvmMemoryTest, WithManualProtectASlotCanBeginAllDirty) {
  Make();
  if (log_->use_manual_protect(true) != Result::kOk) {
    GTEST_SKIP() << "the engine lacks KVM_DIRTY_LOG_INITIALLY_SET";
  }
  AddSlot(0x3000, kLogDirtyPages);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 1, 2));
}

class KvmDirtyRingTest : public KvmMemoryTest {
 protected:
  static constexpr std::uint32_t kEntries = 1024;

  void MakeWithRing() {
    const Knob* const knob = backend_->knobs().Find("dirty_ring");
    ASSERT_NE(knob, nullptr);
    if (!knob->not_settable.empty()) GTEST_SKIP() << knob->not_settable;
    Make({{"dirty_ring", std::to_string(kEntries)}});
  }
  std::vector<DirtyPage> Harvest(std::uint32_t count = kEntries) {
    std::vector<DirtyPage> pages(count);
    pages.resize(log_->harvest(0, pages.data(), count));
    return pages;
  }
  std::vector<std::uint64_t> HarvestPages() {
    std::vector<std::uint64_t> indices;
    for (const DirtyPage& page : Harvest()) {
      EXPECT_EQ(page.slot, 1u);
      indices.push_back(page.page);
    }
    return indices;
  }
};

TEST_F(KvmDirtyRingTest, TheRingNamesExactlyThePagesWrittenInOrder) {
  MakeWithRing();
  if (IsSkipped()) return;
  EXPECT_EQ(log_->ring_entries(), kEntries);
  AddSlot(0x20000, kLogDirtyPages);
  for (int round = 0; round < 2; ++round) {
    Start(StrideCode());
    ASSERT_EQ(Run().reason, ExitReason::kHlt);
    EXPECT_THAT(HarvestPages(), ElementsAre(0, 3, 6, 9, 12));
    EXPECT_THAT(HarvestPages(), ElementsAre());
    std::uint32_t reset = 0;
    ASSERT_EQ(log_->reset_rings(&reset), Result::kOk);
    EXPECT_EQ(reset, 5u);
  }
}

TEST_F(KvmDirtyRingTest, WhatRing3WroteIsInTheRing) {
  MakeWithRing();
  if (IsSkipped()) return;
  AddSlot(0x20000, kLogDirtyPages);
  const std::vector<unsigned char> code = UserStrideCode();
  ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                     static_cast<std::uint32_t>(code.size())),
            Result::kOk);
  ASSERT_EQ(Run().reason, ExitReason::kIo);
  EXPECT_THAT(HarvestPages(), ElementsAre(0, 3, 6, 9, 12));
}

TEST_F(KvmDirtyRingTest, AFullRingExitsUntilItIsHarvestedAndLosesNothing) {
  MakeWithRing();
  if (IsSkipped()) return;
  constexpr std::uint64_t kPages = 0x800;
  AddSlot(kPages * 4096, kLogDirtyPages);
  Start(SweepCode());
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 6; ++round) {
    ASSERT_EQ(Run().reason, ExitReason::kDirtyRingFull);
    ASSERT_EQ(Run().reason, ExitReason::kDirtyRingFull) << "and again";
    const std::vector<DirtyPage> pages = Harvest();
    ASSERT_GT(pages.size(), kEntries / 8);
    ASSERT_LE(pages.size(), kEntries);
    for (const DirtyPage& page : pages) {
      EXPECT_EQ(page.slot, 1u);
      seen.insert(page.page);
    }
    std::uint32_t reset = 0;
    ASSERT_EQ(log_->reset_rings(&reset), Result::kOk);
    EXPECT_EQ(reset, pages.size());
  }
  EXPECT_EQ(seen.size(), kPages);
}

TEST_F(KvmDirtyRingTest, ARingLengthThatIsNoPowerOfTwoIsRefused) {
  if (!backend_->knobs().Find("dirty_ring")->not_settable.empty()) {
    GTEST_SKIP() << backend_->knobs().Find("dirty_ring")->not_settable;
  }
  VmConfig config;
  config.knobs["dirty_ring"] = "1000";
  EXPECT_EQ(backend_->CreateVm(config).status().code(),
            absl::StatusCode::kInvalidArgument);
  Make();
  EXPECT_EQ(log_->ring_entries(), 0u);
  EXPECT_EQ(log_->reset_rings(nullptr), Result::kUnsupported);
}

}  // namespace
}  // namespace worldswitch
