#include "backends/vmx_intel/native/vmx_failure.h"

#include "backends/vmx_intel/vmx_exit_reason.h"
#include "backends/vmx_intel/vmx_instruction_error.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kCpuNotKnown = ~0u;

// What a qualification of a failed entry says; null where it says nothing.
const char* QualificationText(std::uint32_t exit_reason,
                              std::uint64_t qualification) {
  if (BasicReason(exit_reason) !=
          static_cast<std::uint16_t>(VmxExitReason::kEntryFailureGuestState) ||
      qualification == 0) {
    return nullptr;
  }
  return VmxInvalidGuestStateQualification::kCause.ChoiceOf(qualification);
}

}  // namespace

Exit ExitOf(const VmxEntryFailure& failure) {
  Exit exit;
  exit.reason = ExitReason::kEntryFailure;
  exit.raw = BasicReason(failure.exit_reason);
  exit.entry_failure = {
      .hardware_reason = failure.kind == VmxEntryFailure::Kind::kEntryFailed
                             ? failure.exit_reason
                             : failure.instruction_error,
      .cpu = kCpuNotKnown};
  return exit;
}

TextLine TextOf(const VmxEntryFailure& failure) {
  TextLine text;
  switch (failure.kind) {
    case VmxEntryFailure::Kind::kNone:
      return text.Append("the last entry did not fail");
    case VmxEntryFailure::Kind::kFailInvalid:
      return text.Append("VMfailInvalid: there is no current VMCS");
    case VmxEntryFailure::Kind::kFailValid: {
      const char* name = VmxInstructionErrorName(failure.instruction_error);
      return text.Append("VMfailValid ")
          .AppendDecimal(failure.instruction_error)
          .Append(": ")
          .Append(name != nullptr ? name : "(not in the manual)");
    }
    case VmxEntryFailure::Kind::kEntryFailed:
      break;
  }
  const std::uint16_t basic = BasicReason(failure.exit_reason);
  const VmxExitInfo* info = FindVmxExit(basic);
  text.Append("entry failure ")
      .AppendDecimal(basic)
      .Append(", ")
      .Append(info != nullptr ? info->name : "(not in the manual)")
      .Append(", qualification ")
      .AppendDecimal(failure.qualification);
  const char* what =
      QualificationText(failure.exit_reason, failure.qualification);
  if (what != nullptr) text.Append(": ").Append(what);
  return text;
}

void DumpVmcs(Vmcs& vmcs, const HostServices& host) {
  for (const VmcsFieldInfo& info : AllVmcsFields()) {
    std::uint64_t value = 0;
    if (vmcs.TryRead(info.field, &value) != VmxStatus::kSucceeded) continue;
    TextLine line;
    line.Append("  ")
        .AppendHex(static_cast<std::uint64_t>(info.field))
        .Append(" ")
        .Append(info.name)
        .Append(" = ")
        .AppendHex(value);
    host.log(host.context, line.c_str());
  }
}

}  // namespace worldswitch
