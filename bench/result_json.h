// The result file: Google Benchmark's JSON, one object per repetition, so that
// its compare.py reads it as it is; and beside it, under "worldswitch", what
// that format has no place for: verdicts, evidence, exact histograms, legs, the
// clock, contamination, the noise floor.

#ifndef WORLDSWITCH_BENCH_RESULT_JSON_H_
#define WORLDSWITCH_BENCH_RESULT_JSON_H_

#include <string>

#include "bench/session.h"
#include "core/host/backend.h"
#include "core/host/fingerprint.h"

namespace worldswitch {

struct ResultContext {
  std::string date;     // RFC 3339
  std::string version;  // of this program
  std::string backend;
  std::string engine;
  std::string unit;  // "ticks" or "instructions"
  SessionOptions options;
  const Fingerprint* fingerprint = nullptr;
};

// The whole file. In an entry real_time is the repetition's median round trip
// in ns, raw; in the unit itself, and time_unit says so, where that is no time.
std::string ResultJson(const SessionResult& result,
                       const ResultContext& context);

// Every sample as CSV with a header line: row, repetition, index, g0, h1, h2,
// g3 (ticks), cpu, exits, flags.
std::string RawCsv(const SessionResult& result);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_RESULT_JSON_H_
