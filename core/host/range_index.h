// Finds, among sorted start addresses, the last one that is not behind a given
// address, in a time that hardly depends on how many there are.
//
// A directory: the span of the starts is cut into equal slots, and a slot knows
// its start. A slot where several starts crowd has a directory of its own, so
// clusters (32-bit window, 64-bit window, the APICs) cost one step more, not
// one for every doubling.

#ifndef WORLDSWITCH_CORE_HOST_RANGE_INDEX_H_
#define WORLDSWITCH_CORE_HOST_RANGE_INDEX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace worldswitch {

// Safe to search from several threads while nobody builds.
class RangeIndex {
 public:
  // starts: rising, each once, at most 2^31 - 1.
  void Build(const std::vector<std::uint64_t>& starts);

  // An index i such that the last start at or before `address` is number i, or,
  // if start number i is behind `address`, number i - 1 (none if i is 0). The
  // index must not be empty.
  std::size_t Find(std::uint64_t address) const {
    std::int32_t entry = 0;
    do {
      const Directory& directory =
          directories_[static_cast<std::size_t>(entry)];
      const std::uint64_t distance =
          std::max(address, directory.base) - directory.base;
      const std::uint64_t slot =
          std::min(distance >> directory.shift, directory.last_slot);
      entry = slots_[directory.first_slot + slot];
    } while (entry >= 0);
    const std::int32_t start = ~entry;
    return static_cast<std::size_t>(start);
  }

 private:
  struct Directory {
    std::uint64_t base;       // the first start in it
    std::uint64_t last_slot;  // how many slots, less one
    std::uint32_t first_slot;
    std::uint32_t shift;  // a slot is 2^shift addresses wide
  };
  // Makes the directory of starts [first, last] and those below it; its number.
  std::int32_t BuildDirectory(const std::vector<std::uint64_t>& starts,
                              std::size_t first, std::size_t last);

  std::vector<Directory> directories_;
  // ~i: start number i is the last one in or before this slot, and the only
  // one in it, if it is in it. Otherwise the number of a directory.
  std::vector<std::int32_t> slots_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_RANGE_INDEX_H_
