// Inside ws_bench: how what was recorded becomes a verdict, the same for a
// repetition on this host and for one that the boot image logged; and the words
// in which it reports on its row.

#ifndef WORLDSWITCH_BENCH_JUDGE_H_
#define WORLDSWITCH_BENCH_JUDGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "bench/noise.h"
#include "bench/row.h"

namespace worldswitch {

// The SampleFlag bits that hold for each sample of a block during which the
// noise counters moved by `delta`. What is not known there sets none.
std::uint8_t FlagsOf(const NoiseDelta& delta);

// What a repetition with figures found. A row can only get worse from one
// repetition to the next: the first one's words stay, and a later one that
// finds something else makes the row kUnproven.
void Judge(Row& row, Verdict verdict, const std::string& why,
           const std::string& evidence);

// Ends the repetition without figures: kUnsupported, kHangs, or kUnproven.
// Overrules what was found before.
void Refuse(Row& row, Verdict verdict, std::string why);

// What a repetition of a guest that stamps, or of a host call, recorded beside
// its samples.
struct RepetitionFacts {
  std::uint64_t samples = 0;
  std::uint64_t exits_seen = 0;  // measured ones, in all of them
  // As many in each iteration, and one at least.
  bool even = true;
  // Samples whose handler never ran; of a host call, with a wrong result.
  std::uint64_t undelivered = 0;
  std::string others;         // what a peer or a step says it did; may be ""
  std::string others_failed;  // why that proves nothing; "": it does
  std::uint64_t batch_iterations = 0;  // in all batches together
  // By how much the scenario's counter moved in them, with the instruction and
  // without; empty: it is not known.
  std::optional<std::int64_t> moved;
  std::optional<std::int64_t> control;
  // The same of the second counter, where the scenario has one; no control.
  std::optional<std::int64_t> second_moved;
};

// Judges the row by its scenario's kind of proof. A kick's repetition judges
// itself.
void JudgeRepetition(Row& row, const RepetitionFacts& facts);

// Ticks of an iteration, by one batch with the instruction and one without it.
// A control is not compared with itself: its figure is the loop's cost.
// iterations: above 0.
double BatchFigure(const Scenario& scenario, std::int64_t with,
                   std::int64_t without, std::uint64_t iterations);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_JUDGE_H_
