// Inside ws_bench: the words in which a repetition, of whatever kind, reports
// on its row: a verdict with its evidence, a refusal, and the flags of a block
// of samples.

#ifndef WORLDSWITCH_BENCH_JUDGE_H_
#define WORLDSWITCH_BENCH_JUDGE_H_

#include <cstdint>
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

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_JUDGE_H_
