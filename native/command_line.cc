#include "native/command_line.h"

namespace worldswitch::native {
namespace {

constexpr std::uint64_t kMostSamples = 100'000;
constexpr std::uint64_t kMostRepetitions = 100;

struct Command {
  const char* name;
  bool Options::*flag;
};
constexpr Command kCommands[] = {{"bench", &Options::bench},
                                 {"path", &Options::path},
                                 {"conformance", &Options::conformance},
                                 {"failures", &Options::failures},
                                 {"random", &Options::random},
                                 {"report", &Options::report},
                                 {"exception", &Options::exception}};

class Parser {
 public:
  Parser(const char* line, Options* options, UsageError* error)
      : at_(line), options_(*options), error_(*error) {}

  bool Parse() {
    TextView word;
    bool first = true;
    while (Next(&word)) {
      // Some loaders put the file's name in front.
      const bool skip = first && word.data[0] != '-' && FlagOf(word) == nullptr;
      first = false;
      if (!skip && !Take(word)) return false;
    }
    bool any = false;
    for (const Command& command : kCommands) {
      any = any || options_.*command.flag;
    }
    if (any) return true;
    return Fail({}, "no command");
  }

 private:
  bool* FlagOf(TextView word) {
    for (const Command& command : kCommands) {
      if (Equal(word, command.name)) return &(options_.*command.flag);
    }
    return nullptr;
  }

  bool Next(TextView* word) {
    while (*at_ == ' ' || *at_ == '\t') ++at_;
    word->data = at_;
    while (*at_ != 0 && *at_ != ' ' && *at_ != '\t') ++at_;
    word->size = static_cast<std::size_t>(at_ - word->data);
    return word->size != 0;
  }

  bool Fail(TextView word, const char* what) {
    error_ = {.word = word, .what = what};
    return false;
  }

  bool Take(TextView word) {
    if (bool* flag = FlagOf(word)) {
      *flag = true;
      return true;
    }
    if (Equal(word, "--virtual") || Equal(word, "--final")) {
      options_.final_loop = Equal(word, "--final");
      return true;
    }
    if (word.data[0] != '-') return Fail(word, "no such command");
    TextView value;
    if (!Next(&value)) return Fail(word, "wants a value");
    if (Equal(word, "--scenario")) return Add(value, &options_.scenarios);
    if (Equal(word, "--clause")) return Add(value, &options_.clauses);
    if (Equal(word, "--knob")) return Add(value, &options_.knobs);
    if (Equal(word, "--mode")) return TakeMode(value);
    if (Equal(word, "--samples")) {
      return TakeNumber(value, kMostSamples, &options_.samples);
    }
    if (Equal(word, "--repetitions")) {
      return TakeNumber(value, kMostRepetitions, &options_.repetitions);
    }
    if (Equal(word, "--runs")) return TakeAny(value, &options_.runs);
    if (Equal(word, "--seed")) return TakeAny(value, &options_.seed);
    return Fail(word, "no such option");
  }

  bool Add(TextView value, TextList* list) {
    if (list->size == TextList::kMost) return Fail(value, "one too many");
    list->items[list->size++] = value;
    return true;
  }

  bool TakeMode(TextView value) {
    constexpr GuestMode kModes[] = {GuestMode::kReal, GuestMode::kRing0,
                                    GuestMode::kRing3};
    for (const GuestMode mode : kModes) {
      if (!Equal(value, GuestModeName(mode))) continue;
      options_.has_mode = true;
      options_.mode = mode;
      return true;
    }
    return Fail(value, "no such mode: real, ring0, ring3");
  }

  bool TakeNumber(TextView value, std::uint64_t most, std::uint32_t* number) {
    std::uint64_t parsed = 0;
    if (!ParseNumber(value, &parsed) || parsed == 0 || parsed > most) {
      return Fail(value, "not a number in its range");
    }
    *number = static_cast<std::uint32_t>(parsed);
    return true;
  }

  bool TakeAny(TextView value, std::uint64_t* number) {
    return ParseNumber(value, number) || Fail(value, "not a number");
  }

  const char* at_;
  Options& options_;
  UsageError& error_;
};

}  // namespace

bool ParseCommandLine(const char* line, Options* options, UsageError* error) {
  return Parser(line, options, error).Parse();
}

}  // namespace worldswitch::native
