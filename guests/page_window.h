// A place in the long-mode guests' linear memory that can be led to any
// guest-physical address: the last 2 MiB that their tables map before the
// APICs'.
//
// Freestanding.

#ifndef WORLDSWITCH_GUESTS_PAGE_WINDOW_H_
#define WORLDSWITCH_GUESTS_PAGE_WINDOW_H_

#include <cstddef>
#include <cstdint>

#include "guests/layout.h"

namespace worldswitch {

// memory: the guest's, from 0, loaded by LoadGuest or LoadCode. The linear
// address of gpa, which is good from the guest's next load of CR3 on.
inline std::uint64_t LeadWindowTo(std::byte* memory, std::uint64_t gpa) {
  constexpr std::uint64_t kLast = 511;
  constexpr std::uint64_t kBytes = std::uint64_t{1} << 21;
  constexpr std::uint64_t kFlags = 0xfff;
  std::byte* const entry = memory + WS_PAGE_DIRECTORY + kLast * sizeof(kLast);
  std::uint64_t value = 0;
  __builtin_memcpy(&value, entry, sizeof(value));
  value = (gpa & ~(kBytes - 1)) | (value & kFlags);
  __builtin_memcpy(entry, &value, sizeof(value));
  return kLast * kBytes | (gpa & (kBytes - 1));
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_GUESTS_PAGE_WINDOW_H_
