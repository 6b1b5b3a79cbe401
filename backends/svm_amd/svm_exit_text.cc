#include "backends/svm_amd/svm_exit_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "backends/svm_amd/svm_exit_code.h"
#include "core/host/bit_field_text.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kException = 3;

void AppendWord(std::string* text, absl::string_view name, std::uint64_t word,
                const std::string& meaning) {
  absl::StrAppendFormat(text, "%s%s %#x", text->empty() ? "" : "; ", name,
                        word);
  if (!meaning.empty()) absl::StrAppend(text, ": ", meaning);
}

// A word that means something, or that at least is not 0.
void AppendInfo(std::string* text, absl::string_view name, BitFields fields,
                const std::optional<std::uint64_t>& word) {
  if (!word.has_value() || (fields.empty() && *word == 0)) return;
  AppendWord(text, name, *word,
             fields.empty() ? "" : DescribeBitFields(fields, *word));
}

// "VMEXIT_NPF, nested page fault (EXITCODE 0x400)".
std::string DescribeCode(std::uint64_t code, const SvmExitInfo* info) {
  std::string text = info != nullptr ? info->name : "unknown exit code";
  if (info != nullptr && info->meaning[0] != '\0') {
    absl::StrAppend(&text, ", ", info->meaning);
  }
  absl::StrAppendFormat(&text, " (EXITCODE %#x)", code);
  return text;
}

}  // namespace

std::string DescribeSvmInterruption(std::uint64_t information) {
  if (!SvmInterruption::kValid.IsSet(information)) return "";
  std::string text;
  for (const BitField& field :
       {SvmInterruption::kVector, SvmInterruption::kType,
        SvmInterruption::kErrorCode}) {
    if (!field.AppliesTo(information)) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", field.name, " ",
                    BitFieldValue(field, information));
  }
  const std::uint64_t vector = SvmInterruption::kVector.Of(information);
  if (SvmInterruption::kType.Of(information) == kException && vector < 32 &&
      kExceptionNames[vector] != nullptr) {
    absl::StrAppend(&text, " (", kExceptionNames[vector], ")");
  }
  return text;
}

std::string DescribeSvmExit(const HardwareExit& exit) {
  std::string text;
  if (exit.reason.has_value()) {
    const std::uint64_t code = NormalSvmExitCode(*exit.reason);
    const SvmExitInfo* const info = FindSvmExit(code);
    text = DescribeCode(code, info);
    AppendInfo(&text, "EXITINFO1", info != nullptr ? info->info1 : BitFields(),
               exit.info1);
    AppendInfo(&text, "EXITINFO2", info != nullptr ? info->info2 : BitFields(),
               exit.info2);
  }
  const std::uint64_t interruption =
      exit.intr_info.value_or(0) | exit.error_code.value_or(0) << 32;
  if (SvmInterruption::kValid.IsSet(interruption)) {
    AppendWord(&text, "EXITINTINFO", interruption,
               DescribeSvmInterruption(interruption));
  }
  if (exit.gpa.has_value()) {
    AppendWord(&text, "guest-physical address", *exit.gpa, "");
  }
  return text;
}

}  // namespace worldswitch
