#include "backends/native/guest_view.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kCr0Paging = std::uint64_t{1} << 31;
constexpr std::uint64_t kCr4FiveLevels = 1 << 12;
constexpr std::uint64_t kEferLongModeActive = 1 << 10;

constexpr std::uint64_t kPresent = 1;
constexpr std::uint64_t kLarge = 1 << 7;
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000;
constexpr std::size_t kPage = 4096;

}  // namespace

bool GuestView::Translate(std::uint64_t linear, std::uint64_t* gpa) const {
  if ((paging_.cr0 & kCr0Paging) == 0) {
    *gpa = linear & 0xffff'ffff;
    return true;
  }
  if ((paging_.efer & kEferLongModeActive) == 0 ||
      (paging_.cr4 & kCr4FiveLevels) != 0) {
    return false;
  }
  std::uint64_t table = paging_.cr3 & kAddressMask;
  for (int level = 3; level >= 0; --level) {
    const std::uint64_t index = (linear >> (12 + 9 * level)) % 512;
    const std::byte* at = memory_.At(table + index * 8, 8);
    if (at == nullptr) return false;
    std::uint64_t entry = 0;
    __builtin_memcpy(&entry, at, sizeof(entry));
    if ((entry & kPresent) == 0) return false;
    if (level == 0 || (level < 3 && (entry & kLarge) != 0)) {
      const std::uint64_t offset =
          linear & ((std::uint64_t{kPage} << (9 * level)) - 1);
      const std::uint64_t frame =
          entry & kAddressMask & ~((std::uint64_t{kPage} << (9 * level)) - 1);
      *gpa = frame + offset;
      return true;
    }
    table = entry & kAddressMask;
  }
  return false;
}

std::byte* GuestView::At(std::uint64_t linear, std::size_t* bytes) const {
  std::uint64_t gpa = 0;
  if (!Translate(linear, &gpa)) return nullptr;
  *bytes = kPage - gpa % kPage;
  return memory_.At(gpa, *bytes);
}

std::size_t GuestView::Read(std::uint64_t linear, void* to,
                            std::size_t bytes) const {
  std::size_t done = 0;
  while (done < bytes) {
    std::size_t piece = 0;
    const std::byte* from = At(linear + done, &piece);
    if (from == nullptr) break;
    if (piece > bytes - done) piece = bytes - done;
    __builtin_memcpy(static_cast<std::byte*>(to) + done, from, piece);
    done += piece;
  }
  return done;
}

bool GuestView::Find(std::uint64_t linear, std::size_t bytes,
                     std::byte** at) const {
  std::size_t first = 0;
  *at = At(linear, &first);
  if (*at == nullptr) return false;
  for (std::size_t seen = first; seen < bytes; seen += kPage) {
    std::size_t piece = 0;
    if (At(linear + seen, &piece) != *at + seen) return false;
  }
  return true;
}

}  // namespace worldswitch
