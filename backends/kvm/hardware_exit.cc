#include "backends/kvm/hardware_exit.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/kvm/kvm_header.h"

namespace worldswitch {
namespace {

// The words that follow the flags of KVM_INTERNAL_ERROR_EMULATION where KVM
// gives the instruction's bytes: one byte of length, fifteen of code.
constexpr std::uint32_t kInstructionWords = 2;
constexpr std::size_t kInstructionBytes = 15;
// Exit reason, info 1, info 2, interruption information, error code.
constexpr std::uint32_t kExitInfoWords = 5;

bool HasInstruction(const InternalErrorExit& error) {
  return error.suberror == KVM_INTERNAL_ERROR_EMULATION &&
         error.data_count >= 1 + kInstructionWords &&
         (error.data[0] &
          KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
}

void ReadEmulation(const InternalErrorExit& error, HardwareExit* exit) {
  const std::uint32_t start = HasInstruction(error) ? 1 + kInstructionWords : 1;
  if (error.data_count < start + kExitInfoWords) return;
  const std::uint64_t* const info = error.data + start;
  exit->reason = info[0];
  exit->info1 = info[1];
  exit->info2 = info[2];
  exit->intr_info = info[3];
  exit->error_code = info[4];
}

// An exit while an event was delivered. The last word is a host CPU.
void ReadDelivery(const InternalErrorExit& error, HardwareExit* exit) {
  if (error.data_count < 3) return;
  exit->info2 = error.data[0];
  exit->reason = error.data[1];
  exit->info1 = error.data[2];
  if (error.data_count >= 5) exit->gpa = error.data[3];
}

void ReadInternalError(const InternalErrorExit& error, HardwareExit* exit) {
  switch (error.suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      ReadEmulation(error, exit);
      break;
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      if (error.data_count >= 2) {
        exit->info2 = error.data[0];
        exit->intr_info = error.data[1];
      }
      if (error.data_count >= 3) exit->error_code = error.data[2];
      break;
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      ReadDelivery(error, exit);
      break;
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      if (error.data_count >= 1) exit->reason = error.data[0];
      break;
    default:
      break;
  }
}

const char* SuberrorName(std::uint32_t suberror) {
  switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      return "KVM_INTERNAL_ERROR_EMULATION";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      return "KVM_INTERNAL_ERROR_SIMUL_EX";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      return "KVM_INTERNAL_ERROR_DELIVERY_EV";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      return "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON";
    default:
      return nullptr;
  }
}

std::string InstructionText(const InternalErrorExit& error) {
  std::array<std::uint8_t, kInstructionWords * sizeof(std::uint64_t)> bytes;
  std::memcpy(bytes.data(), error.data + 1, bytes.size());
  const std::size_t size = std::min<std::size_t>(bytes[0], kInstructionBytes);
  std::string text = "instruction bytes";
  for (std::size_t i = 1; i <= size; ++i) {
    absl::StrAppendFormat(&text, " %02x", bytes[i]);
  }
  return text;
}

bool TellsAnything(const HardwareExit& exit) {
  return exit.reason.has_value() || exit.intr_info.has_value();
}

}  // namespace

HardwareExit HardwareExitOf(const Exit& exit) {
  HardwareExit hardware;
  if (exit.reason == ExitReason::kInternalError) {
    ReadInternalError(exit.internal_error, &hardware);
  } else if (exit.reason == ExitReason::kEntryFailure) {
    hardware.entry_failed = true;
    hardware.reason = exit.entry_failure.hardware_reason;
  } else if (exit.reason == ExitReason::kUnknown &&
             exit.raw == KVM_EXIT_UNKNOWN) {
    hardware.reason = exit.entry_failure.hardware_reason;
  }
  return hardware;
}

std::string ExplainKvmExit(const Exit& exit, DescribeHardwareExit describe) {
  std::string text;
  if (exit.reason == ExitReason::kInternalError) {
    const InternalErrorExit& error = exit.internal_error;
    if (const char* name = SuberrorName(error.suberror); name != nullptr) {
      text = name;
    }
    if (HasInstruction(error)) {
      absl::StrAppend(&text, ", ", InstructionText(error));
    }
  }
  const HardwareExit hardware = HardwareExitOf(exit);
  if (describe != nullptr && TellsAnything(hardware)) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", describe(hardware));
  }
  return text;
}

}  // namespace worldswitch
