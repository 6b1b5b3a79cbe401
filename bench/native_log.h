// The boot image's serial log (native/log_format.h), read back into the rows
// that a run on /dev/kvm fills, and judged by the same code (judge.h).

#ifndef WORLDSWITCH_BENCH_NATIVE_LOG_H_
#define WORLDSWITCH_BENCH_NATIVE_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "bench/row.h"
#include "core/host/backend.h"

namespace worldswitch {

// A conformance clause, or one of the image's own checks.
struct NativeCheck {
  enum class Verdict : std::uint8_t { kPassed, kFailed, kDeviates, kSkipped };
  std::string name;  // of a clause "ID", "ID PART", "ID PART MODE"
  Verdict verdict = Verdict::kPassed;
  std::string text;
};
// "passed", "failed", "deviates", "skipped".
const char* NativeCheckVerdictName(NativeCheck::Verdict verdict);

struct NativeLog {
  std::vector<Fact> info;                    // in the order logged
  std::vector<Row> rows;                     // whole ones; in the order logged
  std::uint32_t repetitions = 0;             // the most that a row has
  std::uint32_t samples_per_repetition = 0;  // of the first one
  std::vector<NativeCheck> clauses;
  std::vector<NativeCheck> checks;
  std::optional<int> done;  // the code of @done

  // The value of a fact, or "".
  std::string InfoOf(absl::string_view key) const;
};

// Reads `text`, all that a serial line gave: what stands before the first
// @worldswitch and between the log's lines is skipped, and where the image was
// booted more than once the last boot counts. Sample stamps are on a clock that
// begins at 1 with each repetition: only their differences are the machine's.
//
// Errors name the line. InvalidArgument: there is no log; another version of
// it; a line that makes no sense, as a damaged one does. DataLoss: the log was
// cut short. In every case *log has what is whole up to there.
absl::Status ReadNativeLog(absl::string_view text, NativeLog* log);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_NATIVE_LOG_H_
