// Physical pages below 4 GiB, given out in contiguous, aligned pieces, lowest
// first. One CPU; freestanding.

#ifndef WORLDSWITCH_NATIVE_PAGE_ALLOCATOR_H_
#define WORLDSWITCH_NATIVE_PAGE_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"

namespace worldswitch::native {

class PageAllocator {
 public:
  // [first, end) is free from now on. Both are multiples of kPageBytes.
  void Add(std::uint64_t first, std::uint64_t end);
  // The same range is not: the image lies there.
  void Remove(std::uint64_t first, std::uint64_t end);

  // Zeroed. alignment: bytes, a power of two. Null: no such piece is left.
  void* Allocate(std::size_t pages, std::size_t alignment);
  // What Allocate gave. False: it did not, or it was freed before.
  bool Free(void* first, std::size_t pages);

  std::uint64_t free_pages() const { return free_; }

 private:
  static constexpr std::uint64_t kPages = 0x100000000 / kPageBytes;

  bool is_free(std::uint64_t page) const {
    return (map_[page / 64] >> (page % 64) & 1) != 0;
  }
  void SetFree(std::uint64_t page, bool is_free);
  // How many pages from `page` on are free, `most` at most.
  std::uint64_t FreeFrom(std::uint64_t page, std::uint64_t most) const;

  std::uint64_t map_[kPages / 64] = {};  // 1: free
  std::uint64_t free_ = 0;
  std::uint64_t lowest_ = 0;  // no free page lies below
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_PAGE_ALLOCATOR_H_
