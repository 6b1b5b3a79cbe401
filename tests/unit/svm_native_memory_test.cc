// Nested page tables in NPT's format, walked as the processor does, and the
// memory of a native SVM VM over them.

#include <cstdlib>
#include <map>

#include "backends/native/nested_tables.h"
#include "backends/svm_amd/native/svm_memory.h"
#include "gtest/gtest.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kPresentWriteUser = 7;
constexpr std::uint64_t kLarge = 1u << 7;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// Physical addresses are the process's own.
class FakeHost {
 public:
  FakeHost() {
    host_.context = this;
    host_.allocate_pages = [](void* context, std::size_t pages,
                              std::size_t alignment) -> void* {
      void* const memory = std::aligned_alloc(alignment, pages * kPageBytes);
      if (memory == nullptr) return nullptr;
      __builtin_memset(memory, 0, pages * kPageBytes);
      static_cast<FakeHost*>(context)->given_[memory] = pages;
      return memory;
    };
    host_.free_pages = [](void* context, void* first, std::size_t pages) {
      auto& given = static_cast<FakeHost*>(context)->given_;
      EXPECT_EQ(given[first], pages);
      given.erase(first);
      std::free(first);
    };
    host_.physical_address = [](void*, const void* address) {
      return reinterpret_cast<std::uint64_t>(address);
    };
  }
  ~FakeHost() { EXPECT_TRUE(given_.empty()) << "pages were not given back"; }
  const HostServices& services() const { return host_; }

 private:
  HostServices host_;
  std::map<void*, std::size_t> given_;
};

// The entry that maps gpa, and its level: 0 is 4 KiB. Every table on the way
// must be present, writable and user.
std::uint64_t Walk(std::uint64_t root, std::uint64_t gpa, int* level) {
  std::uint64_t table = root;
  for (*level = 3;; --*level) {
    const std::uint64_t index = gpa >> (12 + 9 * *level) & 511;
    const std::uint64_t entry =
        reinterpret_cast<const std::uint64_t*>(table)[index];
    if ((entry & 1) == 0 || *level == 0 || (entry & kLarge) != 0) return entry;
    EXPECT_EQ(entry & kPresentWriteUser, kPresentWriteUser);
    table = entry & 0x000FFFFFFFFFF000;
  }
}

TEST(NptFormat, LargestPagesThatFit) {
  FakeHost host;
  NestedTables tables(host.services(), NestedFormat::kNpt,
                      NestedPageSize::k1GiB);
  ASSERT_TRUE(tables.Map(0, 4 * kGiB, kGiB + 2 * kMiB + kPageBytes));
  int level = 0;
  EXPECT_EQ(Walk(tables.root(), 0x1234, &level),
            (4 * kGiB) | kLarge | kPresentWriteUser);
  EXPECT_EQ(level, 2);
  EXPECT_EQ(Walk(tables.root(), kGiB, &level),
            (5 * kGiB) | kLarge | kPresentWriteUser);
  EXPECT_EQ(level, 1);
  EXPECT_EQ(Walk(tables.root(), kGiB + 2 * kMiB, &level),
            (5 * kGiB + 2 * kMiB) | kPresentWriteUser);
  EXPECT_EQ(level, 0);
  EXPECT_EQ(Walk(tables.root(), kGiB + 2 * kMiB + kPageBytes, &level), 0u);
}

TEST(NptFormat, AccessPoisonAndSplit) {
  FakeHost host;
  NestedTables tables(host.services(), NestedFormat::kNpt,
                      NestedPageSize::k2MiB);
  ASSERT_TRUE(tables.Map(0, kGiB, 2 * kMiB));
  ASSERT_TRUE(tables.Map(0x3000, kGiB + 0x3000, kPageBytes, kNestedRead));
  int level = 0;
  const std::uint64_t read_only = Walk(tables.root(), 0x3000, &level);
  EXPECT_EQ(level, 0);
  EXPECT_EQ(read_only, (kGiB + 0x3000) | 5 | kNoExecute);
  EXPECT_EQ(Walk(tables.root(), 0x4000, &level),
            (kGiB + 0x4000) | kPresentWriteUser);
  ASSERT_TRUE(tables.Poison(0x5000, kPageBytes));
  const std::uint64_t poisoned = Walk(tables.root(), 0x5000, &level);
  EXPECT_EQ(poisoned & 1, 1u);
  EXPECT_NE(poisoned >> 51 & 1, 0u) << "a physical address beyond all";
  EXPECT_FALSE(tables.Find(0x5000).present);
  ASSERT_TRUE(tables.MapOne(0x6000, kGiB + 0x6000, NestedPageSize::k4KiB, 0));
  EXPECT_EQ(Walk(tables.root(), 0x6000, &level), 0u);
  EXPECT_EQ(tables.Find(0x6000).size, NestedPageSize::k4KiB);
}

TEST(SvmMemory, WhatIsDiscardedIsServedAgain) {
  FakeHost host;
  SvmMemory memory(host.services(), 4 * kMiB, NestedPageSize::k2MiB, false);
  ASSERT_TRUE(memory.ok());
  int level = 0;
  Walk(memory.nested_cr3(), 0, &level);
  EXPECT_EQ(level, 1);
  std::byte* const byte = memory.view().At(0x7000, 1);
  *byte = std::byte{0x5A};
  ASSERT_TRUE(memory.Discard(0x7000, kPageBytes));
  EXPECT_EQ(Walk(memory.nested_cr3(), 0x7000, &level), 0u);
  EXPECT_NE(Walk(memory.nested_cr3(), 0x8000, &level), 0u);
  EXPECT_EQ(*byte, std::byte{0});
  EXPECT_TRUE(memory.Serve(0x7123));
  EXPECT_EQ(Walk(memory.nested_cr3(), 0x7000, &level) & 0x000FFFFFFFFFF000,
            reinterpret_cast<std::uint64_t>(byte));
  EXPECT_FALSE(memory.Discard(0x7001, kPageBytes));
  EXPECT_FALSE(memory.Discard(4 * kMiB, kPageBytes));
  EXPECT_FALSE(memory.Serve(4 * kMiB));
}

TEST(SvmMemory, AStateThatWasAskedForIsNotServed) {
  FakeHost host;
  SvmMemory memory(host.services(), 4 * kMiB, NestedPageSize::k4KiB, false);
  ASSERT_TRUE(memory.ok());
  ASSERT_EQ(memory.SetState(0x9000, NestedPageState::kNotPresent), Result::kOk);
  EXPECT_FALSE(memory.Serve(0x9000));
  ASSERT_EQ(memory.SetState(0x9000, NestedPageState::kMapped), Result::kOk);
  EXPECT_TRUE(memory.Serve(0x9000));
  // The hole holds no memory.
  EXPECT_EQ(memory.SetState(8 * kMiB, NestedPageState::kMapped),
            Result::kError);
  EXPECT_EQ(memory.SetState(8 * kMiB, NestedPageState::kMisconfigured),
            Result::kOk);
}

TEST(SvmMemory, AliasOfEachSizeThatThereIs) {
  FakeHost host;
  SvmMemory memory(host.services(), kMiB, NestedPageSize::k4KiB, false);
  ASSERT_TRUE(memory.ok());
  const auto byte =
      reinterpret_cast<std::uint64_t>(memory.view().At(0x4321, 1));
  for (const NestedPageSize size :
       {NestedPageSize::k4KiB, NestedPageSize::k2MiB}) {
    std::uint64_t alias = 0;
    ASSERT_EQ(memory.MapAlias(0x4321, size, &alias), Result::kOk);
    int level = 0;
    const std::uint64_t entry = Walk(memory.nested_cr3(), alias, &level);
    EXPECT_EQ(level, static_cast<int>(size));
    EXPECT_EQ((entry & 0x000FFFFFFFFFF000) + alias % BytesOf(size), byte);
    ASSERT_EQ(memory.SetState(alias, NestedPageState::kNotPresent),
              Result::kOk);
    EXPECT_EQ(Walk(memory.nested_cr3(), alias, &level), 0u);
    ASSERT_EQ(memory.SetState(alias, NestedPageState::kMapped), Result::kOk);
    EXPECT_EQ(Walk(memory.nested_cr3(), alias, &level), entry);
  }
  std::uint64_t alias = 0;
  EXPECT_EQ(memory.MapAlias(0x4321, NestedPageSize::k1GiB, &alias),
            Result::kUnsupported);
  EXPECT_EQ(memory.MapAlias(kMiB, NestedPageSize::k4KiB, &alias),
            Result::kError);
}

}  // namespace
}  // namespace worldswitch::svm
