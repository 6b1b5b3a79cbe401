// Inside ws_bench: one row of the boot image's log, from @row to @end, a line
// at a time. Whole logs: native_log.h.

#ifndef WORLDSWITCH_BENCH_NATIVE_ROW_H_
#define WORLDSWITCH_BENCH_NATIVE_ROW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/judge.h"
#include "bench/native_words.h"
#include "bench/row.h"

namespace worldswitch {

// Takes the lines of one row after another, each as its words with the '@' word
// first, as many as the format says. Errors (InvalidArgument) leave it as it
// was or without a row.
class NativeRow {
 public:
  absl::Status BeginRow(const NativeWords& words);
  // text: what stands behind the verdict.
  absl::Status Why(const NativeWords& words, std::string text);
  absl::Status BeginRepetition(const NativeWords& words);
  absl::Status TakeSample(const NativeWords& words);
  absl::Status TakeControl(const NativeWords& words);
  absl::Status Measured(const NativeWords& words);
  absl::Status Batch(const NativeWords& words);
  absl::Status Count(const NativeWords& words);
  // The row, judged.
  absl::Status EndRow(Row* whole);

  // The row that is open; null: none.
  const Row* open_row() const { return row_.has_value() ? &*row_ : nullptr; }

 private:
  // What is open between @rep and the next of its kind.
  struct OpenRepetition {
    Repetition repetition;
    RepetitionFacts facts;
    bool all_have_legs = true;
    bool each_exits = true;
    bool measured = false;
    std::int64_t clock = 1;
    std::vector<double> batches;
    std::map<std::string, std::int64_t> counts;  // with minus without
  };

  // By how much a counter moved, net, and in how many iterations.
  struct CounterSum {
    std::int64_t net = 0;
    std::uint64_t iterations = 0;
  };

  // "xN" at words[index]: N alike; 1 where there is no such word.
  absl::Status Repeats(const NativeWords& words, std::size_t index,
                       std::uint64_t* count);
  // Judges what is open, and adds it to the row.
  absl::Status CloseRepetition();

  std::optional<Row> row_;
  bool refused_ = false;  // by @why
  std::optional<OpenRepetition> open_;
  std::map<std::string, CounterSum> sums_;
  std::uint64_t samples_ = 0;  // of all rows
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_NATIVE_ROW_H_
