// What the tests of memory slots and of dirty logging share: a VM with both
// features, slots with memory of their own, and guests that reach for a slot at
// kSlotGpa.

#ifndef WORLDSWITCH_TESTS_SYSTEM_KVM_MEMORY_FIXTURE_H_
#define WORLDSWITCH_TESTS_SYSTEM_KVM_MEMORY_FIXTURE_H_

#include <utility>
#include <vector>

#include "core/features/dirty_log.h"
#include "core/features/memory_slots.h"
#include "core/host/guest_memory.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {

inline constexpr std::uint64_t kSlotGpa = 0x8000000;

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

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_SYSTEM_KVM_MEMORY_FIXTURE_H_
