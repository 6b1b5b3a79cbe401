#include "backends/scripted/script_text.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/host/errno_status.h"
#include "core/host/knob.h"
#include "core/host/suggest.h"

namespace worldswitch {
namespace {

bool ParseNumber(absl::string_view text, std::uint64_t* number) {
  if (absl::StartsWith(text, "0x") || absl::StartsWith(text, "0X")) {
    return absl::SimpleHexAtoi(text, number);
  }
  return absl::SimpleAtoi(text, number);
}

// The words behind a step's name. Remembers the first thing wrong with them,
// and which keys the step knows.
class Fields {
 public:
  explicit Fields(const std::vector<absl::string_view>& words) {
    for (const absl::string_view word : words) {
      if (word == "on" || word == "off") {
        // "interrupts on" is short for "interrupts state=on".
        if (!settings_.emplace("state", word).second)
          Fail("say on or off once");
      } else if (absl::Status parsed = ParseKnobSetting(word, &settings_);
                 !parsed.ok()) {
        Fail(parsed.message());
      }
    }
  }

  bool Has(const std::string& key) {
    known_.insert(key);
    return settings_.contains(key);
  }

  std::string Text(const std::string& key) {
    if (Has(key)) return settings_[key];
    Fail(absl::StrCat(key, "= is missing"));
    return "";
  }

  template <typename Number>
  Number Required(const std::string& key) {
    const std::string text = Text(key);
    constexpr std::uint64_t kMost = std::numeric_limits<Number>::max();
    std::uint64_t number = 0;
    if (status_.ok() && (!ParseNumber(text, &number) || number > kMost)) {
      Fail(absl::StrCat(key, "=", text, " is not a number from 0 to ", kMost));
    }
    return static_cast<Number>(number);
  }

  template <typename Number>
  Number Optional(const std::string& key, Number otherwise) {
    return Has(key) ? Required<Number>(key) : otherwise;
  }

  bool Flag(const std::string& key) {
    if (!Has(key)) return false;
    const absl::StatusOr<bool> parsed = ParseKnobBool(settings_[key]);
    if (!parsed.ok()) Fail(parsed.status().message());
    return parsed.ok() && *parsed;
  }

  std::vector<std::uint8_t> Bytes(const std::string& key) {
    const std::string text = Text(key);
    const bool is_hex = text.size() % 2 == 0 &&
                        std::all_of(text.begin(), text.end(), [](char c) {
                          return absl::ascii_isxdigit(c);
                        });
    if (!is_hex) {
      Fail(absl::StrCat(key, "=", text, " is not pairs of hex digits"));
      return {};
    }
    const std::string bytes = absl::HexStringToBytes(text);
    return {bytes.begin(), bytes.end()};
  }

  std::vector<std::uint64_t> Numbers(const std::string& key) {
    std::vector<std::uint64_t> numbers;
    if (!Has(key)) return numbers;
    for (const absl::string_view part : absl::StrSplit(settings_[key], ',')) {
      if (!ParseNumber(part, &numbers.emplace_back())) {
        Fail(absl::StrCat(key, "=: \"", part, "\" is not a number"));
      }
    }
    return numbers;
  }

  bool State() {
    const bool is_there = Has("state");
    if (!is_there) Fail("say on or off");
    return is_there && Flag("state");
  }

  void Fail(absl::string_view message) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(message);
  }

  // After all keys were asked for: the first trouble, or a key nobody knows.
  absl::Status status() const {
    if (!status_.ok()) return status_;
    for (const auto& [key, value] : settings_) {
      if (known_.contains(key)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("no key \"", key, "\" here",
                       KnownNames(key, {known_.begin(), known_.end()})));
    }
    return absl::OkStatus();
  }

 private:
  KnobSettings settings_;
  std::set<std::string> known_;
  absl::Status status_;
};

// What every exit takes.
void AddCommonKeys(Fields& fields, Script& script) {
  if (fields.Has("raw")) script.Raw(fields.Required<std::uint64_t>("raw"));
  if (fields.Has("times")) {
    script.Times(fields.Required<std::uint32_t>("times"));
  }
  if (fields.Has("length")) {
    script.Length(fields.Required<std::uint8_t>("length"));
  }
  if (fields.Has("qualification")) {
    script.Qualification(fields.Required<std::uint64_t>("qualification"));
  }
  if (fields.Has("info1")) {
    script.Info1(fields.Required<std::uint64_t>("info1"));
  }
  if (fields.Has("info2")) {
    script.Info2(fields.Required<std::uint64_t>("info2"));
  }
  if (fields.Flag("undelivered")) script.Undelivered();
}

void AddExpectedBytes(Fields& fields, Script& script) {
  if (fields.Has("expect")) script.Expect(fields.Bytes("expect"));
}

void AddExpectedValue(Fields& fields, Script& script) {
  if (fields.Has("expect")) {
    script.ExpectValue(fields.Required<std::uint64_t>("expect"));
  }
}

void AddOut(Fields& fields, Script& script) {
  const auto port = fields.Required<std::uint16_t>("port");
  const auto size = fields.Required<std::uint8_t>("size");
  script.Out(port, size, fields.Bytes("data"));
  AddCommonKeys(fields, script);
}

void AddIn(Fields& fields, Script& script) {
  const auto port = fields.Required<std::uint16_t>("port");
  const auto size = fields.Required<std::uint8_t>("size");
  script.In(port, size, fields.Optional<std::uint32_t>("count", 1));
  AddExpectedBytes(fields, script);
  AddCommonKeys(fields, script);
}

void AddMmioRead(Fields& fields, Script& script) {
  const auto gpa = fields.Required<std::uint64_t>("gpa");
  script.MmioRead(gpa, fields.Required<std::uint32_t>("size"));
  AddExpectedBytes(fields, script);
  AddCommonKeys(fields, script);
}

void AddMmioWrite(Fields& fields, Script& script) {
  const auto gpa = fields.Required<std::uint64_t>("gpa");
  script.MmioWrite(gpa, fields.Bytes("data"));
  AddCommonKeys(fields, script);
}

void AddRdmsr(Fields& fields, Script& script) {
  script.Rdmsr(fields.Required<std::uint32_t>("index"));
  AddExpectedValue(fields, script);
  if (fields.Flag("expect_gp")) script.ExpectGp();
  AddCommonKeys(fields, script);
}

void AddWrmsr(Fields& fields, Script& script) {
  const auto index = fields.Required<std::uint32_t>("index");
  script.Wrmsr(index, fields.Required<std::uint64_t>("value"));
  if (fields.Flag("expect_gp")) script.ExpectGp();
  AddCommonKeys(fields, script);
}

void AddHypercall(Fields& fields, Script& script) {
  const auto number = fields.Required<std::uint64_t>("number");
  script.Hypercall(number, fields.Numbers("arguments"));
  AddExpectedValue(fields, script);
  AddCommonKeys(fields, script);
}

void AddHlt(Fields& fields, Script& script) {
  script.Hlt();
  AddCommonKeys(fields, script);
}

void AddUnknown(Fields& fields, Script& script) {
  script.Unknown(fields.Required<std::uint64_t>("raw"));
  AddCommonKeys(fields, script);
}

void AddExit(Fields& fields, Script& script) {
  const std::string name = fields.Text("reason");
  std::vector<std::string> known;
  ExitReason reason = ExitReason::kCount;
  for (std::size_t i = 0; i < kExitReasonCount; ++i) {
    known.emplace_back(ExitReasonName(static_cast<ExitReason>(i)));
    if (name == known.back()) reason = static_cast<ExitReason>(i);
  }
  if (reason == ExitReason::kCount) {
    fields.Fail(
        absl::StrCat("no exit reason \"", name, "\"", KnownNames(name, known)));
    return;
  }
  Exit exit = BlankExit(reason);
  if (fields.Has("errno")) {
    if (reason < ExitReason::kInterrupted) {
      fields.Fail("errno= is for Interrupted, Retry and Error");
    }
    exit.error.error_number =
        static_cast<std::int32_t>(fields.Required<std::uint16_t>("errno"));
  }
  script.Raise(exit);
  AddCommonKeys(fields, script);
}

void AddSpin(Fields& /*fields*/, Script& script) { script.Spin(); }

void AddInterrupts(Fields& fields, Script& script) {
  script.Interrupts(fields.State());
}

void AddShadow(Fields& fields, Script& script) {
  script.Shadow(fields.State());
}

void AddNmis(Fields& fields, Script& script) { script.Nmis(fields.State()); }

void AddInjection(Fields& fields, Script& script) {
  constexpr std::pair<const char*, InjectResult> kResults[] = {
      {"ok", InjectResult::kOk},
      {"blocked", InjectResult::kBlocked},
      {"busy", InjectResult::kBusy},
      {"unsupported", InjectResult::kUnsupported},
      {"error", InjectResult::kError},
  };
  const std::string name = fields.Text("result");
  const auto error = fields.Optional<std::uint16_t>("errno", 0);
  std::vector<std::string> known;
  for (const auto& [each, result] : kResults) {
    known.emplace_back(each);
    if (name == each) {
      script.Injection(result, error);
      return;
    }
  }
  fields.Fail(
      absl::StrCat("no result \"", name, "\"", KnownNames(name, known)));
}

void AddCommit(Fields& fields, Script& script) {
  script.Commit(fields.Required<std::uint16_t>("errno"));
}

void AddRegister(Fields& fields, Script& script) {
  const std::string name = fields.Text("name");
  const auto value = fields.Required<std::uint64_t>("value");
  script.Register(name, value);
}

struct Verb {
  const char* name;
  void (*add)(Fields&, Script&);
};
constexpr Verb kVerbs[] = {
    {"out", AddOut},
    {"in", AddIn},
    {"mmio_read", AddMmioRead},
    {"mmio_write", AddMmioWrite},
    {"rdmsr", AddRdmsr},
    {"wrmsr", AddWrmsr},
    {"hypercall", AddHypercall},
    {"hlt", AddHlt},
    {"unknown", AddUnknown},
    {"exit", AddExit},
    {"spin", AddSpin},
    {"interrupts", AddInterrupts},
    {"shadow", AddShadow},
    {"nmis", AddNmis},
    {"injection", AddInjection},
    {"commit", AddCommit},
    {"register", AddRegister},
};

absl::Status ParseLine(const std::vector<absl::string_view>& words,
                       Script& script) {
  std::vector<std::string> known;
  for (const Verb& verb : kVerbs) {
    known.emplace_back(verb.name);
    if (words[0] != verb.name) continue;
    Fields fields({words.begin() + 1, words.end()});
    verb.add(fields, script);
    // What is wrong with the text explains what is wrong with the step.
    if (absl::Status status = fields.status(); !status.ok()) return status;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no step \"", words[0], "\"", KnownNames(words[0], known)));
}

}  // namespace

absl::StatusOr<Script> ParseScript(absl::string_view text) {
  Script script;
  int line = 0;
  for (absl::string_view content : absl::StrSplit(text, '\n')) {
    ++line;
    content = content.substr(0, content.find('#'));
    const std::vector<absl::string_view> words =
        absl::StrSplit(content, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    script.set_line(line);
    if (absl::Status parsed = ParseLine(words, script); !parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line, ": ", parsed.message()));
    }
    if (!script.status().ok()) return script.status();
  }
  return script;
}

absl::StatusOr<Script> ReadScript(const std::string& path) {
  const std::string attempted = absl::StrCat("reading the script ", path);
  std::ifstream file(path);
  if (!file) {
    return ErrnoStatus(errno, attempted, "Give script= a file that exists");
  }
  file.peek();  // a directory opens and cannot be read
  if (file.bad()) return ErrnoStatus(EIO, attempted, "Is it a directory?");
  std::ostringstream text;
  if (!file.eof()) text << file.rdbuf();
  absl::StatusOr<Script> script = ParseScript(text.str());
  if (script.ok()) return script;
  return absl::Status(script.status().code(),
                      absl::StrCat(path, ": ", script.status().message()));
}

}  // namespace worldswitch
