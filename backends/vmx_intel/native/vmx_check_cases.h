// What can be written into a VMCS that no entry may accept, rule by rule (SDM
// 3C, chapter "VM Entries": checks on VMX controls, on the host-state area, on
// the guest-state area, loading MSRs), and what has to come of it.
//
// Freestanding: constant data.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CHECK_CASES_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CHECK_CASES_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/vmx_intel/native/vmcs_field.h"
#include "backends/vmx_intel/native/vmx_failure.h"

namespace worldswitch {

// The guest that a case starts from: each can be entered as it is.
enum class VmxCheckGuest : std::uint8_t { kReal, kVirtual8086, kLong };

struct VmxCheckWrite {
  enum class How : std::uint8_t {
    kNothing,
    kSet,
    kSetBits,
    kClearBits,
    // Of a field of controls: a control that has to be 1 becomes 0, and the
    // other way round. Where the CPU has none, the case is skipped.
    kClearRequired,
    kSetForbidden,
    kSetPage,      // the physical address of a page that is there, plus value
    kBeyondMemory  // an address with a bit above MAXPHYADDR, plus value
  };
  std::uint16_t field = 0;
  How how = How::kNothing;
  // The value is bits << shift: there are many of these.
  std::uint8_t shift = 0;
  std::uint32_t bits = 0;

  constexpr std::uint64_t value() const { return std::uint64_t{bits} << shift; }
};

struct VmxCheckOutcome {
  VmxEntryFailure::Kind kind = VmxEntryFailure::Kind::kNone;  // entered
  // kFailValid: the VM-instruction error. kEntryFailed: the basic exit reason.
  std::uint16_t number = 0;
  std::uint16_t qualification = 0;

  bool operator==(const VmxCheckOutcome&) const = default;
};

struct VmxCheckCase {
  static constexpr std::size_t kWrites = 4;
  const char* name = "";
  VmxCheckGuest guest = VmxCheckGuest::kLong;
  VmxCheckOutcome expected;
  VmxCheckWrite writes[kWrites];
  // A control that the case needs to be 1, as a field and a bit; field 0: none.
  std::uint16_t needs_field = 0;
  std::uint8_t needs_bit = 0;
  // The rule holds where bit 56 of IA32_VMX_BASIC is 0.
  bool of_error_codes = false;
};

// One list a file.
std::span<const VmxCheckCase> VmxControlCases();  // vmx_control_cases.cc
std::span<const VmxCheckCase> VmxHostCases();     // vmx_host_cases.cc
std::span<const VmxCheckCase> VmxGuestCases();    // vmx_guest_cases.cc
std::span<const VmxCheckCase> VmxSegmentCases();  // vmx_segment_cases.cc

// Where an emulator is known to do otherwise than the manual says.
struct VmxDeviation {
  const char* name;      // of the case
  VmxCheckOutcome seen;  // of an instruction: kEntered, it succeeded
  const char* reason;    // which emulator, and why
};
std::span<const VmxDeviation> VmxDeviations();           // vmx_deviations.cc
const VmxDeviation* FindVmxDeviation(const char* name);  // null: none

// For the tables.
namespace vmx_check {

using How = VmxCheckWrite::How;

// value: its bits lie within 32 of each other.
constexpr VmxCheckWrite Write(VmcsField field, How how,
                              std::uint64_t value = 0) {
  std::uint8_t shift = 0;
  while (value >> shift > 0xffff'ffff) ++shift;
  return {.field = static_cast<std::uint16_t>(field),
          .how = how,
          .shift = shift,
          .bits = static_cast<std::uint32_t>(value >> shift)};
}
constexpr VmxCheckWrite Set(VmcsField field, std::uint64_t value) {
  return Write(field, How::kSet, value);
}
constexpr VmxCheckWrite SetBits(VmcsField field, std::uint64_t bits) {
  return Write(field, How::kSetBits, bits);
}
constexpr VmxCheckWrite ClearBits(VmcsField field, std::uint64_t bits) {
  return Write(field, How::kClearBits, bits);
}

inline constexpr VmxCheckOutcome kBadControl = {
    .kind = VmxEntryFailure::Kind::kFailValid, .number = 7};
inline constexpr VmxCheckOutcome kBadHostState = {
    .kind = VmxEntryFailure::Kind::kFailValid, .number = 8};
constexpr VmxCheckOutcome BadGuestState(std::uint16_t qualification = 0) {
  return {.kind = VmxEntryFailure::Kind::kEntryFailed,
          .number = 33,
          .qualification = qualification};
}
constexpr VmxCheckOutcome BadMsr(std::uint16_t index) {
  return {.kind = VmxEntryFailure::Kind::kEntryFailed,
          .number = 34,
          .qualification = index};
}
inline constexpr VmxCheckOutcome kEntered = {};

// Neither canonical with 48 bits nor with 57.
inline constexpr std::uint64_t kNotCanonical = std::uint64_t{1} << 62;

}  // namespace vmx_check
}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CHECK_CASES_H_
