#include "core/host/range_index.h"

#include <bit>

namespace worldswitch {
namespace {

// Enough that evenly spread starts get a slot each.
constexpr std::uint64_t kSlotsPerStart = 2;

}  // namespace

void RangeIndex::Build(const std::vector<std::uint64_t>& starts) {
  directories_.clear();
  slots_.clear();
  if (!starts.empty()) BuildDirectory(starts, 0, starts.size() - 1);
}

std::int32_t RangeIndex::BuildDirectory(
    const std::vector<std::uint64_t>& starts, std::size_t first,
    std::size_t last) {
  const std::uint64_t base = starts[first];
  const std::uint64_t span = starts[last] - base;
  // The narrowest slots of which not too many are needed. First and last start
  // never share one, so this ends.
  const std::uint64_t most = kSlotsPerStart * (last - first + 1);
  std::uint32_t shift = 0;
  while (span >> shift >= most) ++shift;
  const std::uint64_t last_slot = span >> shift;

  const auto number = static_cast<std::int32_t>(directories_.size());
  const auto first_slot = static_cast<std::uint32_t>(slots_.size());
  directories_.push_back({.base = base,
                          .last_slot = last_slot,
                          .first_slot = first_slot,
                          .shift = shift});
  slots_.resize(slots_.size() + last_slot + 1);

  std::size_t next = first;  // the first start behind the slots done so far
  for (std::uint64_t slot = 0; slot <= last_slot; ++slot) {
    const std::size_t first_inside = next;
    while (next <= last && (starts[next] - base) >> shift == slot) ++next;
    const bool is_crowded = next - first_inside > 1;
    const std::int32_t entry =
        is_crowded ? BuildDirectory(starts, first_inside, next - 1)
                   : ~static_cast<std::int32_t>(next - 1);
    slots_[first_slot + slot] = entry;
  }
  return number;
}

}  // namespace worldswitch
