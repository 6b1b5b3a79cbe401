#include "backends/vmx_intel/native/vmx_events.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kValid = 1u << 31;
constexpr std::uint32_t kErrorCode = 1u << 11;
// The bits that IDT-vectoring and entry fields share: not bit 12, which there
// tells of NMI unblocking and here is reserved.
constexpr std::uint32_t kShared = kValid | kErrorCode | 0x7ff;

constexpr std::uint8_t kNmiVector = 2;

// Exceptions that push an error code (SDM 3A, table 6-1).
constexpr std::uint32_t kWithErrorCode = 1u << 8 | 1u << 10 | 1u << 11 |
                                         1u << 12 | 1u << 13 | 1u << 14 |
                                         1u << 17 | 1u << 21;

constexpr std::uint32_t Information(VmxEventType type, std::uint8_t vector) {
  return kValid | static_cast<std::uint32_t>(type) << 8 | vector;
}

bool IsSoftware(VmxEventType type) {
  return type == VmxEventType::kSoftwareInterrupt ||
         type == VmxEventType::kPrivilegedSoftwareException ||
         type == VmxEventType::kSoftwareException;
}

}  // namespace

VmxEntryEvent EntryEventOf(const Event& event, bool protected_mode) {
  switch (event.kind) {
    case EventKind::kIrq:
      return {.information =
                  Information(VmxEventType::kExternalInterrupt, event.vector)};
    case EventKind::kNmi:
      return {.information = Information(VmxEventType::kNmi, kNmiVector)};
    case EventKind::kException:
      break;
  }
  VmxEntryEvent entry = {.information = Information(
                             VmxEventType::kHardwareException, event.vector)};
  if (protected_mode && event.has_error_code) {
    entry.information |= kErrorCode;
    entry.error_code = event.error_code;
  }
  return entry;
}

bool ErrorCodeFits(const Event& event, bool protected_mode, bool any_code) {
  if (!protected_mode || any_code) return true;
  return event.has_error_code == ((kWithErrorCode >> event.vector & 1) != 0);
}

bool VmxEvents::Cancel(Event* event) {
  if (!busy()) return false;
  switch (event_.type()) {
    case VmxEventType::kExternalInterrupt:
      *event = {.kind = EventKind::kIrq, .vector = event_.vector()};
      break;
    case VmxEventType::kNmi:
      *event = {.kind = EventKind::kNmi, .vector = event_.vector()};
      break;
    case VmxEventType::kHardwareException:
      *event = {.kind = EventKind::kException,
                .vector = event_.vector(),
                .has_error_code = event_.has_error_code(),
                .error_code = event_.error_code};
      break;
    default:
      return false;
  }
  event_ = {};
  return true;
}

void VmxEvents::WriteForEntry() {
  if (event_.has_error_code()) {
    vmcs_.Write(VmcsField::kEntryErrorCode, event_.error_code);
  }
  if (IsSoftware(event_.type())) {
    vmcs_.Write(VmcsField::kEntryInstructionLength, event_.instruction_length);
  }
  vmcs_.Write(VmcsField::kEntryInterruption, event_.information);
  in_flight_ = event_;
  event_ = {};
}

void VmxEvents::TakeBack(std::uint32_t idt_vectoring) {
  in_flight_ = {};
  event_ = {.information = idt_vectoring & kShared};
  if (event_.has_error_code()) {
    event_.error_code = static_cast<std::uint32_t>(
        vmcs_.Read(VmcsField::kIdtVectoringErrorCode));
  }
  if (IsSoftware(event_.type())) {
    event_.instruction_length = static_cast<std::uint32_t>(
        vmcs_.Read(VmcsField::kExitInstructionLength));
  }
  if (event_.type() == VmxEventType::kNmi) {
    // Its delivery blocked NMIs already; the entry wants them unblocked.
    const std::uint64_t state = vmcs_.Read(VmcsField::kGuestInterruptibility);
    if ((state & vmx::kBlockedByNmi) != 0) {
      vmcs_.Write(VmcsField::kGuestInterruptibility,
                  state & ~vmx::kBlockedByNmi);
    }
  }
}

void VmxEvents::KeepAccepted() {
  if (in_flight_.information == 0) return;
  // The field was left as it was written.
  vmcs_.Write(VmcsField::kEntryInterruption, 0);
  event_ = in_flight_;
  in_flight_ = {};
}

bool VmxEvents::TakeDelivered(VmxEventType* type) {
  if (in_flight_.information == 0) return false;
  *type = in_flight_.type();
  in_flight_ = {};
  return true;
}

VmxCombined Combine(const VmxEntryEvent& first, std::uint8_t exception) {
  constexpr std::uint8_t kDoubleFault = 8;
  constexpr std::uint8_t kPageFault = 14;
  constexpr std::uint32_t kContributory =
      1u << 0 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 21;
  switch (first.type()) {
    case VmxEventType::kExternalInterrupt:
    case VmxEventType::kNmi:
      return VmxCombined::kSecondFirst;
    case VmxEventType::kHardwareException:
      break;
    default:
      return VmxCombined::kSecond;
  }
  const bool second_contributory = (kContributory >> exception & 1) != 0;
  const bool second_fault = second_contributory || exception == kPageFault;
  if (first.vector() == kDoubleFault) {
    return second_fault ? VmxCombined::kTripleFault : VmxCombined::kSecond;
  }
  if ((kContributory >> first.vector() & 1) != 0) {
    return second_contributory ? VmxCombined::kDoubleFault
                               : VmxCombined::kSecond;
  }
  return first.vector() == kPageFault && second_fault
             ? VmxCombined::kDoubleFault
             : VmxCombined::kSecond;
}

}  // namespace worldswitch
