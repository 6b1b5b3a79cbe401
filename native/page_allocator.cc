#include "native/page_allocator.h"

namespace worldswitch::native {

void PageAllocator::SetFree(std::uint64_t page, bool is_free_now) {
  const std::uint64_t bit = std::uint64_t{1} << (page % 64);
  if (is_free_now) {
    map_[page / 64] |= bit;
    ++free_;
    if (page < lowest_) lowest_ = page;
  } else {
    map_[page / 64] &= ~bit;
    --free_;
  }
}

void PageAllocator::Add(std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t page = first / kPageBytes; page < end / kPageBytes;
       ++page) {
    if (!is_free(page)) SetFree(page, true);
  }
}

void PageAllocator::Remove(std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t page = first / kPageBytes; page < end / kPageBytes;
       ++page) {
    if (is_free(page)) SetFree(page, false);
  }
}

std::uint64_t PageAllocator::FreeFrom(std::uint64_t page,
                                      std::uint64_t most) const {
  std::uint64_t count = 0;
  while (count < most && is_free(page + count)) ++count;
  return count;
}

void* PageAllocator::Allocate(std::size_t pages, std::size_t alignment) {
  if (pages == 0 || pages > free_) return nullptr;
  const std::uint64_t step =
      alignment < kPageBytes ? 1 : alignment / kPageBytes;
  while (lowest_ < kPages && !is_free(lowest_)) ++lowest_;
  std::uint64_t page = (lowest_ + step - 1) / step * step;
  while (page + pages <= kPages) {
    const std::uint64_t run = FreeFrom(page, pages);
    if (run == pages) {
      for (std::uint64_t i = 0; i < pages; ++i) SetFree(page + i, false);
      auto* first = reinterpret_cast<void*>(page * kPageBytes);
      __builtin_memset(first, 0, pages * kPageBytes);
      return first;
    }
    page = (page + run + step) / step * step;
  }
  return nullptr;
}

bool PageAllocator::Free(void* first, std::size_t pages) {
  const std::uint64_t page =
      reinterpret_cast<std::uint64_t>(first) / kPageBytes;
  if (page + pages > kPages) return false;
  for (std::uint64_t i = 0; i < pages; ++i) {
    if (is_free(page + i)) return false;
  }
  for (std::uint64_t i = 0; i < pages; ++i) SetFree(page + i, true);
  return true;
}

}  // namespace worldswitch::native
