#include "core/host/plugin_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/host/child_answer.h"
#include "core/host/plugin_note.h"

namespace worldswitch {
namespace {

constexpr std::size_t kMostText = 64 << 10;
constexpr std::size_t kMostWord = 4096;
constexpr std::uint32_t kMostParameters = 256;

// Like every sink it is called by a plugin, through which nothing may be
// thrown.
void AppendText(void* context, const char* text, std::size_t length) noexcept {
  auto* const to = static_cast<std::string*>(context);
  if (text == nullptr || to->size() >= kMostText) return;
  to->append(text, std::min(length, kMostText - to->size()));
}

// A string of the table into *to. False: there is none, or it has no end.
bool Copy(const char* text, std::string* to) {
  if (text == nullptr) return false;
  const std::size_t length = strnlen(text, kMostWord);
  if (length == kMostWord) return false;
  to->assign(text, length);
  return true;
}

// ---- What the child tells: words, each ended by NUL ----

void Put(std::string* text, const std::string& word) {
  // A NUL in a word would move all that follow.
  std::string clean = word;
  std::replace(clean.begin(), clean.end(), '\0', ' ');
  text->append(clean).push_back('\0');
}

std::string Told(const absl::StatusOr<PluginInspection>& inspection) {
  std::string text;
  const absl::Status& status =
      inspection.ok() ? inspection->probed : inspection.status();
  Put(&text, inspection.ok() ? "plugin" : "refused");
  Put(&text, absl::StrCat(status.raw_code()));
  Put(&text, std::string(status.message()));
  if (!inspection.ok()) return text;
  const PluginDescription& description = inspection->description;
  Put(&text, description.name);
  Put(&text, description.summary);
  Put(&text, description.is_machine ? "1" : "0");
  for (const Fact& parameter : description.parameters) {
    Put(&text, parameter.name);
    Put(&text, parameter.value);
  }
  return text;
}

absl::StatusOr<PluginInspection> ParseTold(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  constexpr std::size_t kStatusWords = 3;
  constexpr std::size_t kHeadWords = 6;
  int code = 0;
  if (words.size() < kStatusWords || !absl::SimpleAtoi(words[1], &code)) {
    return absl::AbortedError("its answer is rubbish");
  }
  const absl::Status status(static_cast<absl::StatusCode>(code), words[2]);
  if (words[0] == "refused" && !status.ok()) return status;
  if (words[0] != "plugin" || words.size() < kHeadWords ||
      words.size() % 2 != 0) {
    return absl::AbortedError("its answer is rubbish");
  }
  PluginInspection inspection;
  inspection.probed = status;
  inspection.description = {.name = words[3],
                            .summary = words[4],
                            .parameters = {},
                            .is_machine = words[5] == "1"};
  for (std::size_t i = kHeadWords; i < words.size(); i += 2) {
    inspection.description.parameters.push_back({words[i], words[i + 1]});
  }
  return inspection;
}

absl::StatusOr<PluginInspection> InspectHere(const std::string& path) {
  absl::StatusOr<const PluginTable*> table = LoadPlugin(path);
  if (!table.ok()) return table.status();
  absl::StatusOr<PluginDescription> description =
      DescribePlugin(**table, (*table)->name);
  if (!description.ok()) return description.status();
  PluginInspection inspection;
  inspection.description = *std::move(description);
  std::string why;
  PluginText sink = TextSink(&why);
  auto code = PluginCode::kOk;
  absl::Status called = Guarded(
      "its probe", [&] { code = (*table)->probe((*table)->context, &sink); });
  if (!called.ok()) return called;
  inspection.probed = PluginStatus(code, why);
  if (absl::IsInternal(inspection.probed) && code != PluginCode::kInternal) {
    return inspection.probed;
  }
  return inspection;
}

}  // namespace

PluginText TextSink(std::string* text) {
  return {.context = text, .append = AppendText};
}

absl::Status PluginStatus(PluginCode code, const std::string& text) {
  if (code < PluginCode::kOk || code > PluginCode::kUnauthenticated) {
    return absl::InternalError(absl::StrCat("it answered ",
                                            static_cast<std::int32_t>(code),
                                            ", which is no PluginCode"));
  }
  return absl::Status(static_cast<absl::StatusCode>(code),
                      text.empty() ? "it gives no reason" : text);
}

absl::Status Guarded(const std::string& what,
                     const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& thrown) {
    return absl::InternalError(
        absl::StrCat(what, " threw an exception: ", thrown.what()));
  } catch (...) {
    return absl::InternalError(absl::StrCat(what, " threw an exception"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PluginDescription> DescribePlugin(const PluginTable& table,
                                                 const std::string& name) {
  const auto refused = [](const std::string& why) {
    return absl::FailedPreconditionError(
        absl::StrCat("its table makes no sense: ", why));
  };
  if (table.size != sizeof(PluginTable)) {
    return refused(absl::StrCat("it says that it has ", table.size,
                                " bytes, and its note ", sizeof(PluginTable)));
  }
  PluginDescription description;
  if (!Copy(table.name, &description.name) || description.name != name) {
    return refused(absl::StrCat("it is named \"", description.name,
                                "\", and in its note \"", name, "\""));
  }
  if (!Copy(table.summary, &description.summary)) {
    return refused("it has no summary");
  }
  if (table.is_machine > 1) return refused("is_machine is neither 0 nor 1");
  description.is_machine = table.is_machine == 1;
  if (table.probe == nullptr || table.open == nullptr) {
    return refused("it has no probe or no open");
  }
  if (table.parameter_count > kMostParameters ||
      (table.parameter_count > 0 && table.parameters == nullptr)) {
    return refused(absl::StrCat(table.parameter_count, " parameters"));
  }
  for (std::uint32_t i = 0; i < table.parameter_count; ++i) {
    Fact parameter;
    if (!Copy(table.parameters[i].name, &parameter.name) ||
        !Copy(table.parameters[i].value, &parameter.value) ||
        parameter.name.empty()) {
      return refused(absl::StrCat("parameter ", i, " has no name or meaning"));
    }
    description.parameters.push_back(std::move(parameter));
  }
  return description;
}

absl::StatusOr<const PluginTable*> LoadPlugin(const std::string& path) {
  absl::StatusOr<std::string> name = PluginNameOf(path);
  if (!name.ok()) return name.status();
  void* const handle =
      dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": cannot be loaded: ", dlerror()));
  }
  auto* const entry =
      reinterpret_cast<PluginEntry>(dlsym(handle, kPluginEntryName));
  if (entry == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": does not export ", kPluginEntryName,
        " (WORLDSWITCH_BACKEND_PLUGIN in core/plugin.h defines it)"));
  }
  const PluginTable* table = nullptr;
  absl::Status called = Guarded("its entry point", [&] { table = entry(); });
  if (!called.ok()) return called;
  if (table == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": its entry point gives no table"));
  }
  absl::StatusOr<PluginDescription> described = DescribePlugin(*table, *name);
  if (!described.ok()) return described.status();
  return table;
}

absl::StatusOr<PluginInspection> InspectPlugin(
    const std::string& path, std::chrono::milliseconds limit) {
  // First without a child: a file that is no plugin needs none.
  absl::StatusOr<std::string> name = PluginNameOf(path);
  if (!name.ok()) return name.status();
  absl::StatusOr<std::string> told =
      AnswerOfChild([&path] { return Told(InspectHere(path)); }, limit);
  if (!told.ok()) {
    return absl::Status(
        told.status().code(),
        absl::StrCat(path, ": tried in a child process first, where ",
                     told.status().message()));
  }
  absl::StatusOr<PluginInspection> inspection = ParseTold(*told);
  if (inspection.ok() && inspection->description.name != *name) {
    inspection = absl::AbortedError("its answer is rubbish");
  }
  if (inspection.ok() ||
      absl::StartsWith(inspection.status().message(), path)) {
    return inspection;
  }
  return absl::Status(inspection.status().code(),
                      absl::StrCat(path, ": ", inspection.status().message()));
}

}  // namespace worldswitch
