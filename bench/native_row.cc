#include "bench/native_row.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bench/statistics.h"
#include "core/host/suggest.h"
#include "native/log_format.h"

namespace worldswitch {
namespace {

// Beyond these nothing was measured: the line is damaged.
constexpr std::uint32_t kMostExits = 100'000;       // in one sample
constexpr std::uint64_t kMostSamples = 20'000'000;  // in one log
constexpr std::uint32_t kMostIterations = 100'000'000;
constexpr std::int64_t kMostCount = std::int64_t{1} << 50;

const Scenario* ScenarioByName(absl::string_view name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (name == scenario.name) return &scenario;
  }
  return nullptr;
}

absl::Status NoSuchScenario(absl::string_view name) {
  std::vector<std::string> names;
  for (const Scenario& scenario : AllScenarios()) {
    names.emplace_back(scenario.name);
  }
  const std::string nearest = NearestName(name, names);
  return BadLine(absl::StrCat("no scenario '", name, "'",
                              nearest.empty() ? "" : "; did you mean ", nearest,
                              ": the log is damaged, or of another version"));
}

}  // namespace

absl::Status NativeRow::BeginRow(const NativeWords& words) {
  if (row_.has_value()) {
    return BadLine(absl::StrCat("a row within ", row_->Name()));
  }
  Row row;
  row.scenario = ScenarioByName(words[1]);
  if (row.scenario == nullptr) return NoSuchScenario(words[1]);
  for (const GuestMode mode :
       {GuestMode::kReal, GuestMode::kRing0, GuestMode::kRing3}) {
    if (words[2] == GuestModeName(mode)) row.mode = mode;
  }
  const bool modeless = row.scenario->kind == ScenarioKind::kHostCall;
  if (modeless ? words[2] != "-" : !row.mode.has_value()) {
    return BadLine(absl::StrCat("no mode '", words[2], "' of ", words[1]));
  }
  row_ = std::move(row);
  sums_.clear();
  return absl::OkStatus();
}

absl::Status NativeRow::Why(const NativeWords& words, std::string text) {
  static constexpr std::pair<const char*, Verdict> kVerdicts[] = {
      {"unsupported", Verdict::kUnsupported},
      {"unproven", Verdict::kUnproven},
      {"hangs", Verdict::kHangs}};
  if (!row_.has_value()) return BadLine("outside a row");
  for (const auto& [name, verdict] : kVerdicts) {
    if (words[1] != name) continue;
    open_.reset();  // what was begun has no figures
    Refuse(*row_, verdict, std::move(text));
    refused_ = true;
    return absl::OkStatus();
  }
  return BadLine(absl::StrCat("no verdict '", words[1], "'"));
}

absl::Status NativeRow::EndRow(Row* whole) {
  if (!row_.has_value()) return BadLine("outside a row");
  absl::Status closed = CloseRepetition();
  if (!closed.ok()) return closed;
  if (row_->verdict == Verdict::kPending) {
    return BadLine(absl::StrCat(row_->Name(), " has neither figures nor ",
                                native_log::kWhy));
  }
  for (const auto& [name, sum] : sums_) {
    if (sum.iterations == 0) continue;
    row_->per_iteration[name] =
        static_cast<double>(sum.net) / static_cast<double>(sum.iterations);
  }
  *whole = *std::move(row_);
  row_.reset();
  refused_ = false;
  return absl::OkStatus();
}

absl::Status NativeRow::BeginRepetition(const NativeWords& words) {
  if (!row_.has_value() || refused_) return BadLine("outside a row");
  absl::Status closed = CloseRepetition();
  if (!closed.ok()) return closed;
  OpenRepetition open;
  int stable = 0;
  constexpr std::int64_t kMostBlocks = 1'000'000;
  absl::Status read =
      NativeNumbers()
          .Take(words[1], 0, kMostBlocks, &open.repetition.warm_up_blocks)
          .Take(words[2], 0, 1, &stable)
          .status();
  if (!read.ok()) return read;
  open.repetition.warm_up_stable = stable != 0;
  open_ = std::move(open);
  return absl::OkStatus();
}

absl::Status NativeRow::Repeats(const NativeWords& words, std::size_t index,
                                std::uint64_t* count) {
  *count = 1;
  if (index < words.size()) {
    absl::string_view word = words[index];
    if (!absl::ConsumePrefix(&word, "x")) {
      return BadLine(absl::StrCat("'", word, "' where xN should be"));
    }
    absl::Status read =
        NativeNumbers()
            .Take(word, 1, static_cast<std::int64_t>(kMostSamples), count)
            .status();
    if (!read.ok()) return read;
  }
  samples_ += *count;
  return samples_ <= kMostSamples ? absl::OkStatus()
                                  : BadLine("too many samples in one log");
}

absl::Status NativeRow::TakeSample(const NativeWords& words) {
  if (!open_.has_value()) return BadLine("outside a repetition");
  const bool seen = words[1] != "-";
  if (seen != (words[3] != "-")) return BadLine("half a sample");
  std::int64_t parts[3] = {0, 0, 0};
  std::uint32_t exits = 0;
  NativeNumbers numbers;
  if (seen) numbers.Ticks(words[1], &parts[0]);
  numbers.Ticks(words[2], &parts[1]);
  if (seen) numbers.Ticks(words[3], &parts[2]);
  numbers.Take(words[4], seen ? 1 : 0, seen ? kMostExits : 0, &exits);
  if (!numbers.status().ok()) return numbers.status();
  std::uint64_t count = 0;
  absl::Status repeated = Repeats(words, 5, &count);
  if (!repeated.ok()) return repeated;
  Repetition& repetition = open_->repetition;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t g0 = open_->clock;
    const std::int64_t h1 = g0 + parts[0];
    const std::int64_t h2 = h1 + parts[1];
    const std::int64_t g3 = h2 + parts[2];
    repetition.samples.push_back({.g0 = g0,
                                  .h1 = seen ? h1 : 0,
                                  .h2 = seen ? h2 : 0,
                                  .g3 = g3,
                                  .cpu = 0,
                                  .exits = exits,
                                  .interrupted = false});
    repetition.flags.push_back(0);
    open_->clock = std::max(g0, g3) + 1;
  }
  open_->all_have_legs = open_->all_have_legs && seen;
  open_->each_exits = open_->each_exits && exits > 0;
  return absl::OkStatus();
}

absl::Status NativeRow::TakeControl(const NativeWords& words) {
  if (!open_.has_value()) return BadLine("outside a repetition");
  std::int64_t ticks = 0;
  std::uint64_t count = 0;
  absl::Status read = NativeNumbers().Ticks(words[1], &ticks).status();
  if (read.ok()) read = Repeats(words, 2, &count);
  if (!read.ok()) return read;
  open_->repetition.control.insert(open_->repetition.control.end(), count,
                                   ticks);
  return absl::OkStatus();
}

absl::Status NativeRow::Measured(const NativeWords& words) {
  if (!open_.has_value()) return BadLine("outside a repetition");
  int consistent = 0;
  RepetitionFacts& facts = open_->facts;
  const auto samples =
      static_cast<std::int64_t>(open_->repetition.samples.size());
  absl::Status read =
      NativeNumbers()
          .Take(words[1], 0, samples * kMostExits, &facts.exits_seen)
          .Take(words[2], 0, 1, &consistent)
          .Take(words[3], 0, samples, &facts.undelivered)
          .status();
  if (!read.ok()) return read;
  facts.samples = static_cast<std::uint64_t>(samples);
  facts.even =
      consistent != 0 && open_->each_exits && facts.exits_seen >= facts.samples;
  open_->repetition.has_legs = consistent != 0 && open_->all_have_legs;
  open_->measured = true;
  return absl::OkStatus();
}

absl::Status NativeRow::Batch(const NativeWords& words) {
  if (!open_.has_value()) return BadLine("outside a repetition");
  std::uint64_t count = 0;
  std::int64_t with = 0;
  std::int64_t without = 0;
  absl::Status read = NativeNumbers()
                          .Take(words[1], 1, kMostIterations, &count)
                          .Ticks(words[2], &with)
                          .Ticks(words[3], &without)
                          .status();
  if (!read.ok()) return read;
  open_->batches.push_back(BatchFigure(*row_->scenario, with, without, count));
  open_->facts.batch_iterations += count;
  return absl::OkStatus();
}

absl::Status NativeRow::Count(const NativeWords& words) {
  if (!open_.has_value()) return BadLine("outside a repetition");
  std::int64_t with = 0;
  std::int64_t without = 0;
  absl::Status read = NativeNumbers()
                          .Take(words[2], -kMostCount, kMostCount, &with)
                          .Take(words[3], -kMostCount, kMostCount, &without)
                          .status();
  if (!read.ok()) return read;
  const Scenario& scenario = *row_->scenario;
  RepetitionFacts& facts = open_->facts;
  if (words[1] == CounterName(scenario.counter)) {
    facts.moved = with;
    facts.control = without;
  }
  if (scenario.second != SecondCounter::kNone &&
      words[1] == CounterName(scenario.second_counter)) {
    facts.second_moved = with;
  }
  open_->counts[std::string(words[1])] = with - without;
  return absl::OkStatus();
}

absl::Status NativeRow::CloseRepetition() {
  if (!open_.has_value()) return absl::OkStatus();
  OpenRepetition open = *std::move(open_);
  open_.reset();
  if (open.repetition.samples.empty() || !open.measured) {
    return BadLine(absl::StrCat("a repetition of ", row_->Name(),
                                " ends without samples or without ",
                                native_log::kMeasured));
  }
  if (!open.batches.empty()) {
    open.repetition.batch = Median(std::move(open.batches));
  }
  for (const auto& [name, net] : open.counts) {
    sums_[name].net += net;
    sums_[name].iterations += open.facts.batch_iterations;
  }
  JudgeRepetition(*row_, open.facts);
  row_->repetitions.push_back(std::move(open.repetition));
  return absl::OkStatus();
}

}  // namespace worldswitch
