#include "bench/judge.h"

#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace worldswitch {
namespace {

// A counter that moves by less than this share of the iterations did not move
// for them: interrupts of the host exit as well.
constexpr double kNoExitShare = 0.05;

void JudgeSeen(Row& row, const RepetitionFacts& facts) {
  std::string evidence =
      absl::StrCat("run returned it ", facts.exits_seen, " times in ",
                   facts.samples, " iterations");
  if (!facts.others.empty()) absl::StrAppend(&evidence, "; ", facts.others);
  if (!facts.even) {
    Judge(row, Verdict::kUnproven,
          facts.exits_seen == 0
              ? "run never returned it"
              : "the exits do not come out even with the iterations",
          evidence);
  } else if (!facts.others_failed.empty()) {
    Judge(row, Verdict::kUnproven, facts.others_failed, evidence);
  } else if (row.scenario->proof_kind == ProofKind::kDelivery &&
             facts.undelivered > 0) {
    Judge(row, Verdict::kUnproven,
          absl::StrCat(facts.undelivered, " of ", facts.samples,
                       " were not delivered to the guest's handler"),
          evidence);
  } else {
    Judge(row, Verdict::kProven, "", evidence);
  }
}

double ShareOf(std::int64_t moved, const RepetitionFacts& facts) {
  return static_cast<double>(moved) /
         static_cast<double>(facts.batch_iterations);
}

std::string NoCounter(Counter counter) {
  return absl::StrCat("the engine has no counter '", CounterName(counter), "'");
}

// The verdict on a row that the first counter proves.
void JudgeSecond(Row& row, const RepetitionFacts& facts, std::string evidence) {
  const Scenario& scenario = *row.scenario;
  if (scenario.second == SecondCounter::kNone) {
    Judge(row, Verdict::kProven, "", evidence);
    return;
  }
  if (!facts.second_moved.has_value()) {
    Judge(row, Verdict::kUnproven, NoCounter(scenario.second_counter),
          evidence);
    return;
  }
  const std::string second = absl::StrFormat(
      "%s %+d", CounterName(scenario.second_counter), *facts.second_moved);
  absl::StrAppend(&evidence, "; ", second);
  const double share = ShareOf(*facts.second_moved, facts);
  const bool holds = scenario.second == SecondCounter::kMoves
                         ? share >= 1 - kNoExitShare
                         : share <= kNoExitShare;
  Judge(row, holds ? Verdict::kProven : Verdict::kUnproven,
        holds ? ""
              : absl::StrCat(second, " for ", facts.batch_iterations,
                             " iterations"),
        evidence);
}

void JudgeCounter(Row& row, const RepetitionFacts& facts) {
  const Scenario& scenario = *row.scenario;
  if (!facts.moved.has_value() || !facts.control.has_value() ||
      facts.batch_iterations == 0) {
    Judge(row, Verdict::kUnproven, NoCounter(scenario.counter), "");
    return;
  }
  const std::int64_t net = *facts.moved - *facts.control;
  const double share = ShareOf(net, facts);
  const std::string evidence =
      absl::StrFormat("%s %+d for %d iterations, against a control",
                      scenario.count == nullptr ? CounterName(scenario.counter)
                                                : "events counted",
                      net, facts.batch_iterations);
  if (std::fabs(share) <= kNoExitShare) {
    Judge(row, Verdict::kNoExit, "", evidence);
  } else if (share >= 1 - kNoExitShare &&
             scenario.proof_kind == ProofKind::kEngineCounter) {
    JudgeSecond(row, facts, evidence);
  } else {
    Judge(row, Verdict::kUnproven, evidence, evidence);
  }
}

void JudgeHostCall(Row& row, const RepetitionFacts& facts) {
  if (facts.undelivered > 0) {
    Judge(row, Verdict::kUnproven,
          absl::StrCat(facts.undelivered, " of ", facts.samples,
                       " calls gave a wrong result"),
          "");
    return;
  }
  const bool enters_engine = row.scenario->host_call != nullptr;
  Judge(row, enters_engine ? Verdict::kProven : Verdict::kNoExit, "",
        absl::StrCat("all ", facts.samples, " results checked"));
}

}  // namespace

std::uint8_t FlagsOf(const NoiseDelta& delta) {
  unsigned flags = 0;
  if (delta.voluntary_switches.value_or(0) > 0 ||
      delta.involuntary_switches.value_or(0) > 0) {
    flags |= kSwitchInBlock;
  }
  if (delta.other_interrupts.value_or(0) > 0) flags |= kIrqInBlock;
  if (delta.timer_interrupts.value_or(0) > 0) flags |= kTimerInBlock;
  if (delta.minor_faults.value_or(0) > 0 ||
      delta.major_faults.value_or(0) > 0) {
    flags |= kFaultInBlock;
  }
  return static_cast<std::uint8_t>(flags);
}

void Judge(Row& row, Verdict verdict, const std::string& why,
           const std::string& evidence) {
  constexpr absl::string_view kDisagree = "repetitions disagree: ";
  // The first that did otherwise stays the reason.
  if (absl::StartsWith(row.why, kDisagree)) return;
  const bool first = row.verdict == Verdict::kPending;
  if (!first && row.verdict != verdict) {
    row.verdict = Verdict::kUnproven;
    row.why = absl::StrCat(kDisagree, row.evidence, "; then ", evidence);
    return;
  }
  if (first) {
    row.verdict = verdict;
    row.why = why;
    row.evidence = evidence.empty() ? why : evidence;
  }
}

void Refuse(Row& row, Verdict verdict, std::string why) {
  row.verdict = verdict;
  row.why = std::move(why);
}

void JudgeRepetition(Row& row, const RepetitionFacts& facts) {
  switch (row.scenario->proof_kind) {
    case ProofKind::kExitSeen:
    case ProofKind::kDelivery:
      JudgeSeen(row, facts);
      break;
    case ProofKind::kEngineCounter:
    case ProofKind::kNoExit:
      JudgeCounter(row, facts);
      break;
    case ProofKind::kHostSide:
      if (row.scenario->kind == ScenarioKind::kHostCall) {
        JudgeHostCall(row, facts);
      }
      break;
  }
}

double BatchFigure(const Scenario& scenario, std::int64_t with,
                   std::int64_t without, std::uint64_t iterations) {
  if (scenario.proof_kind == ProofKind::kNoExit) without = 0;
  return static_cast<double>(with - without) / static_cast<double>(iterations);
}

}  // namespace worldswitch
