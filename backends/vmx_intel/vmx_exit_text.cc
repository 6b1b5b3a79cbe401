#include "backends/vmx_intel/vmx_exit_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/vmx_intel/vmx_exit_reason.h"
#include "backends/vmx_intel/vmx_instruction_error.h"
#include "core/host/bit_field_text.h"

namespace worldswitch {
namespace {

using Field = VmxExitReasonField;

void AppendWord(std::string* text, absl::string_view name, std::uint64_t word,
                const std::string& meaning) {
  absl::StrAppendFormat(text, "%s%s %#x", text->empty() ? "" : "; ", name,
                        word);
  if (!meaning.empty()) absl::StrAppend(text, ": ", meaning);
}

// "EPT violation (exit reason 0x30)", with the flags of the field.
std::string DescribeReason(std::uint64_t reason, const VmxExitInfo* info) {
  std::string text =
      info != nullptr
          ? std::string(info->name)
          : absl::StrCat("unknown basic exit reason ", BasicReason(reason));
  absl::StrAppendFormat(&text, " (exit reason %#x", reason);
  const std::string flags = DescribeBitFields(BitFields(Field::kAll).subspan(1),
                                              reason & ~Field::kBasic.Mask());
  if (!flags.empty()) absl::StrAppend(&text, ", ", flags);
  return text + ")";
}

}  // namespace

std::string DescribeVmxInterruption(std::uint64_t information) {
  if (!VmxInterruption::kValid.IsSet(information)) return "";
  // It is said once that it is valid: by being there.
  std::string text = DescribeBitFields(
      BitFields(VmxInterruption::kAll).first(VmxInterruption::kAll.size() - 1),
      information & ~VmxInterruption::kValid.Mask());
  if (VmxInterruption::kType.Of(information) !=
      VmxInterruption::kHardwareException) {
    return text;
  }
  const std::uint64_t vector = VmxInterruption::kVector.Of(information);
  if (vector < 32 && kExceptionNames[vector] != nullptr) {
    absl::StrAppend(&text, " (", kExceptionNames[vector], ")");
  }
  return text;
}

std::string DescribeVmxInstructionError(std::uint64_t number) {
  const char* const name = VmxInstructionErrorName(number);
  return absl::StrCat("VM-instruction error ", number, ": ",
                      name != nullptr ? name : "not in the manual");
}

std::string DescribeVmxExit(const HardwareExit& exit) {
  if (exit.entry_failed && exit.reason.has_value() &&
      !Field::kEntryFailure.IsSet(*exit.reason)) {
    return DescribeVmxInstructionError(*exit.reason);
  }
  std::string text;
  const std::uint64_t interruption = exit.intr_info.value_or(0);
  if (exit.reason.has_value()) {
    const VmxExitInfo* const info = FindVmxExit(BasicReason(*exit.reason));
    text = DescribeReason(*exit.reason, info);
    const BitFields fields = info != nullptr
                                 ? VmxQualificationFields(*info, interruption)
                                 : BitFields();
    if (exit.info1.has_value() && (!fields.empty() || *exit.info1 != 0)) {
      AppendWord(&text, "exit qualification", *exit.info1,
                 fields.empty() ? "" : DescribeBitFields(fields, *exit.info1));
    }
  }
  if (VmxInterruption::kValid.IsSet(interruption)) {
    AppendWord(&text, "interruption information", interruption,
               DescribeVmxInterruption(interruption));
    if (VmxInterruption::kErrorCodeValid.IsSet(interruption) &&
        exit.error_code.has_value()) {
      absl::StrAppendFormat(&text, ", error code %#x", *exit.error_code);
    }
  }
  if (VmxInterruption::kValid.IsSet(exit.info2.value_or(0))) {
    AppendWord(&text, "IDT-vectoring information", *exit.info2,
               DescribeVmxInterruption(*exit.info2));
  }
  if (exit.gpa.has_value()) {
    AppendWord(&text, "guest-physical address", *exit.gpa, "");
  }
  return text;
}

}  // namespace worldswitch
