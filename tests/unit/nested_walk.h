// Nested page tables as the CPU would walk them, entry by entry, and a host
// that counts its pages.

#ifndef WORLDSWITCH_TESTS_UNIT_NESTED_WALK_H_
#define WORLDSWITCH_TESTS_UNIT_NESTED_WALK_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include "backends/native/host_services.h"
#include "backends/native/nested_tables.h"
#include "gtest/gtest.h"

namespace worldswitch {

// A host whose physical addresses are its own, with so many pages.
class FakePages {
 public:
  explicit FakePages(std::size_t pages = std::size_t{1} << 20) : left_(pages) {
    services_.context = this;
    services_.allocate_pages = [](void* context, std::size_t pages,
                                  std::size_t alignment) -> void* {
      auto& host = *static_cast<FakePages*>(context);
      if (pages > host.left_ || alignment > host.most_alignment) return nullptr;
      void* memory = nullptr;
      if (posix_memalign(&memory, alignment, pages * kPageBytes) != 0) {
        return nullptr;
      }
      std::memset(memory, 0, pages * kPageBytes);
      host.left_ -= pages;
      host.given_[memory] = pages;
      return memory;
    };
    services_.free_pages = [](void* context, void* first, std::size_t pages) {
      auto& host = *static_cast<FakePages*>(context);
      EXPECT_EQ(host.given_[first], pages);
      host.given_.erase(first);
      host.left_ += pages;
      std::free(first);
    };
    services_.physical_address = [](void*, const void* address) {
      return reinterpret_cast<std::uint64_t>(address);
    };
  }
  ~FakePages() { EXPECT_TRUE(given_.empty()) << "pages were not given back"; }
  FakePages(const FakePages&) = delete;
  FakePages& operator=(const FakePages&) = delete;

  const HostServices& services() const { return services_; }
  // Bytes: there is nothing that is aligned to more.
  std::size_t most_alignment = std::size_t{1} << 30;

 private:
  HostServices services_;
  std::size_t left_;
  std::map<void*, std::size_t> given_;
};

constexpr std::uint64_t kEntryAddress = 0x000f'ffff'ffff'f000;

struct NestedLeaf {
  std::uint64_t entry;
  int level;  // 0 is 4 KiB
};

// The entry that maps gpa, or the one that says that nothing does.
inline NestedLeaf Walk(std::uint64_t root, std::uint64_t gpa,
                       NestedFormat format) {
  const std::uint64_t present = format == NestedFormat::kEpt ? 7 : 1;
  std::uint64_t table = root;
  for (int level = 3;; --level) {
    std::uint64_t entry = 0;
    std::memcpy(&entry,
                reinterpret_cast<const void*>(
                    table + (gpa >> (12 + 9 * level)) % 512 * 8),
                sizeof(entry));
    const bool large = (entry & 0x80) != 0;
    if (level == 0 || large || (entry & present) == 0) return {entry, level};
    // A link allows everything: what a page allows its leaf says.
    EXPECT_EQ(entry & 0xfff, 7u);
    table = entry & kEntryAddress;
  }
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_UNIT_NESTED_WALK_H_
