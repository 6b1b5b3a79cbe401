#include "bench/native_log.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/native_row.h"
#include "bench/native_words.h"
#include "native/log_format.h"

namespace worldswitch {
namespace {

constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kShown = 60;  // characters of a bad line

class Reader {
 public:
  explicit Reader(NativeLog* log) : log_(log) {}

  absl::Status Read(absl::string_view text) {
    int number = 0;
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      ++number;
      line = absl::StripSuffix(line, "\r");
      if (!absl::StartsWith(line, "@")) continue;
      if (!begun_ && !absl::StartsWith(line, native_log::kBegin)) continue;
      absl::Status read = Line(line);
      if (!read.ok()) {
        std::string shown(line.substr(0, kShown));
        std::replace_if(
            shown.begin(), shown.end(), [](char c) { return c < ' '; }, '?');
        return absl::InvalidArgumentError(
            absl::StrCat("line ", number, ": ", read.message(), ": \"", shown,
                         line.size() > kShown ? "...\"" : "\""));
      }
    }
    if (!begun_) {
      return absl::InvalidArgumentError(
          absl::StrCat("no line begins with ", native_log::kBegin,
                       ": this is no log of worldswitch-native"));
    }
    if (!log_->done.has_value()) {
      return absl::DataLossError(absl::StrCat(
          "the log ends in line ", number, " without ", native_log::kDone,
          row_.open_row() == nullptr
              ? std::string()
              : absl::StrCat(", in the middle of ", row_.open_row()->Name()),
          ": it was cut short"));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Line(absl::string_view line) {
    using Handler = absl::Status (Reader::*)(const NativeWords&);
    struct Kind {
      const char* word;
      std::size_t least;  // words behind it
      std::size_t most;
      Handler handler;
    };
    static constexpr std::size_t kAny = kLongestLine;
    static constexpr Kind kKinds[] = {
        {native_log::kBegin, 1, 1, &Reader::Begin},
        {native_log::kInfo, 1, kAny, &Reader::Info},
        {native_log::kRow, 2, 2, &Reader::BeginRow},
        {native_log::kWhy, 1, kAny, &Reader::Why},
        {native_log::kRepetition, 2, 2,
         &Reader::OfRow<&NativeRow::BeginRepetition>},
        {native_log::kSample, 4, 5, &Reader::OfRow<&NativeRow::TakeSample>},
        {native_log::kControl, 1, 2, &Reader::OfRow<&NativeRow::TakeControl>},
        {native_log::kMeasured, 3, 3, &Reader::OfRow<&NativeRow::Measured>},
        {native_log::kBatch, 3, 3, &Reader::OfRow<&NativeRow::Batch>},
        {native_log::kCount, 3, 3, &Reader::OfRow<&NativeRow::Count>},
        {native_log::kEnd, 0, 0, &Reader::EndRow},
        {native_log::kClause, 4, kAny, &Reader::Clause},
        {native_log::kCheck, 2, kAny, &Reader::Check},
        {native_log::kDone, 1, 1, &Reader::Done}};
    if (line.size() > kLongestLine) return BadLine("too long");
    const bool printable = std::all_of(
        line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (!printable) return BadLine("damaged: not printable");
    NativeWords words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    for (const Kind& kind : kKinds) {
      if (words.front() != kind.word) continue;
      const std::size_t behind = words.size() - 1;
      if (behind < kind.least || behind > kind.most) {
        return BadLine(absl::StrCat(kind.word, " with ", behind, " words"));
      }
      if (log_->done.has_value() && kind.handler != &Reader::Begin) {
        return BadLine(absl::StrCat("behind ", native_log::kDone));
      }
      line_ = line;
      return (this->*kind.handler)(words);
    }
    return BadLine("no line of the log begins so");
  }

  // Everything from the word at `index` on.
  std::string Rest(const NativeWords& words, std::size_t index) const {
    if (index >= words.size()) return "";
    return std::string(line_.substr(
        static_cast<std::size_t>(words[index].data() - line_.data())));
  }

  absl::Status Begin(const NativeWords& words) {
    int version = 0;
    if (!absl::SimpleAtoi(words[1], &version) ||
        version != native_log::kVersion) {
      return BadLine(
          absl::StrCat("version '", words[1],
                       "' of the log, and this program reads version ",
                       native_log::kVersion));
    }
    *log_ = NativeLog();
    begun_ = true;
    row_ = NativeRow();
    return absl::OkStatus();
  }

  absl::Status Info(const NativeWords& words) {
    log_->info.push_back({std::string(words[1]), Rest(words, 2)});
    return absl::OkStatus();
  }

  // ---- Rows ----

  absl::Status BeginRow(const NativeWords& words) {
    absl::Status begun = row_.BeginRow(words);
    if (!begun.ok()) return begun;
    const std::string name = row_.open_row()->Name();
    for (const Row& known : log_->rows) {
      if (known.Name() == name) {
        return BadLine(absl::StrCat("a second row ", name));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Why(const NativeWords& words) {
    return row_.Why(words, Rest(words, 2));
  }

  absl::Status EndRow(const NativeWords&) {
    Row row;
    absl::Status ended = row_.EndRow(&row);
    if (!ended.ok()) return ended;
    if (log_->samples_per_repetition == 0 && row.has_figures()) {
      log_->samples_per_repetition =
          static_cast<std::uint32_t>(row.repetitions[0].samples.size());
    }
    log_->repetitions = std::max(
        log_->repetitions, static_cast<std::uint32_t>(row.repetitions.size()));
    log_->rows.push_back(std::move(row));
    return absl::OkStatus();
  }

  template <absl::Status (NativeRow::*take)(const NativeWords&)>
  absl::Status OfRow(const NativeWords& words) {
    return (row_.*take)(words);
  }

  // ---- Checks ----

  absl::Status AddCheck(std::string name, absl::string_view verdict,
                        std::string text, std::vector<NativeCheck>* into) {
    using Verdict = NativeCheck::Verdict;
    for (const Verdict known : {Verdict::kPassed, Verdict::kFailed,
                                Verdict::kDeviates, Verdict::kSkipped}) {
      if (verdict != NativeCheckVerdictName(known)) continue;
      into->push_back({std::move(name), known, std::move(text)});
      return absl::OkStatus();
    }
    return BadLine(absl::StrCat("no verdict '", verdict, "'"));
  }

  absl::Status Clause(const NativeWords& words) {
    std::string name(words[1]);
    for (const std::size_t i : {std::size_t{2}, std::size_t{3}}) {
      if (words[i] != "-") absl::StrAppend(&name, " ", words[i]);
    }
    return AddCheck(std::move(name), words[4], Rest(words, 5), &log_->clauses);
  }

  absl::Status Check(const NativeWords& words) {
    return AddCheck(std::string(words[1]), words[2], Rest(words, 3),
                    &log_->checks);
  }

  absl::Status Done(const NativeWords& words) {
    if (row_.open_row() != nullptr) {
      return BadLine(
          absl::StrCat("in the middle of ", row_.open_row()->Name()));
    }
    constexpr std::int64_t kMostCode = 255;
    int code = 0;
    absl::Status read =
        NativeNumbers().Take(words[1], 0, kMostCode, &code).status();
    if (read.ok()) log_->done = code;
    return read;
  }

  NativeLog* log_;
  bool begun_ = false;
  absl::string_view line_;
  NativeRow row_;
};

}  // namespace

const char* NativeCheckVerdictName(NativeCheck::Verdict verdict) {
  switch (verdict) {
    case NativeCheck::Verdict::kPassed:
      return "passed";
    case NativeCheck::Verdict::kFailed:
      return "failed";
    case NativeCheck::Verdict::kDeviates:
      return "deviates";
    case NativeCheck::Verdict::kSkipped:
      return "skipped";
  }
  return "(no such verdict)";
}

std::string NativeLog::InfoOf(absl::string_view key) const {
  for (const Fact& fact : info) {
    if (fact.name == key) return fact.value;
  }
  return "";
}

absl::Status ReadNativeLog(absl::string_view text, NativeLog* log) {
  *log = NativeLog();
  return Reader(log).Read(text);
}

}  // namespace worldswitch
