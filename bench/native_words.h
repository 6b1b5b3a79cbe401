// Inside ws_bench: the words of a line of the boot image's log, as numbers in
// range.

#ifndef WORLDSWITCH_BENCH_NATIVE_WORDS_H_
#define WORLDSWITCH_BENCH_NATIVE_WORDS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

using NativeWords = std::vector<absl::string_view>;

// InvalidArgument.
absl::Status BadLine(absl::string_view what);

// Decimal, from least to most.
absl::StatusOr<std::int64_t> NativeInteger(absl::string_view word,
                                           std::int64_t least,
                                           std::int64_t most);

// Words in turn, each into its place; ok if all of them are in range.
class NativeNumbers {
 public:
  // Beyond these nothing was measured: the line is damaged.
  static constexpr std::int64_t kMostTicks = std::int64_t{1} << 50;

  template <typename T>
  NativeNumbers& Take(absl::string_view word, std::int64_t least,
                      std::int64_t most, T* into) {
    if (!status_.ok()) return *this;
    absl::StatusOr<std::int64_t> value = NativeInteger(word, least, most);
    if (value.ok()) {
      *into = static_cast<T>(*value);
    } else {
      status_ = value.status();
    }
    return *this;
  }
  NativeNumbers& Ticks(absl::string_view word, std::int64_t* into) {
    return Take(word, -kMostTicks, kMostTicks, into);
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_NATIVE_WORDS_H_
