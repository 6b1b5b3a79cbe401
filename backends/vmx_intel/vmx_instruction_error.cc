#include "backends/vmx_intel/vmx_instruction_error.h"

#include <cstddef>
#include <iterator>

namespace worldswitch {
namespace {

// By number.
constexpr const char* kErrors[] = {
    nullptr,
    "VMCALL executed in VMX root operation",
    "VMCLEAR with invalid physical address",
    "VMCLEAR with VMXON pointer",
    "VMLAUNCH with non-clear VMCS",
    "VMRESUME with non-launched VMCS",
    "VMRESUME after VMXOFF (VMXOFF and VMXON between VMLAUNCH and VMRESUME)",
    "VM entry with invalid control field(s)",
    "VM entry with invalid host-state field(s)",
    "VMPTRLD with invalid physical address",
    "VMPTRLD with VMXON pointer",
    "VMPTRLD with incorrect VMCS revision identifier",
    "VMREAD/VMWRITE from/to unsupported VMCS component",
    "VMWRITE to read-only VMCS component",
    nullptr,
    "VMXON executed in VMX root operation",
    "VM entry with invalid executive-VMCS pointer",
    "VM entry with non-launched executive VMCS",
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one name in two lines
    "VM entry with executive-VMCS pointer not VMXON pointer (when attempting "
    "to deactivate the dual-monitor treatment of SMIs and SMM)",
    "VMCALL with non-clear VMCS (when attempting to activate the dual-monitor "
    "treatment of SMIs and SMM)",
    "VMCALL with invalid VM-exit control fields",
    nullptr,
    "VMCALL with incorrect MSEG revision identifier (when attempting to "
    "activate the dual-monitor treatment of SMIs and SMM)",
    "VMXOFF under dual-monitor treatment of SMIs and SMM",
    "VMCALL with invalid SMM-monitor features (when attempting to activate the "
    "dual-monitor treatment of SMIs and SMM)",
    "VM entry with invalid VM-execution control fields in executive VMCS (when "
    "attempting to return from SMM)",
    "VM entry with events blocked by MOV SS",
    nullptr,
    "Invalid operand to INVEPT/INVVPID",
};
static_assert(std::size(kErrors) == kHighestVmxInstructionError + 1);

}  // namespace

const char* VmxInstructionErrorName(std::uint64_t number) {
  return number < std::size(kErrors) ? kErrors[number] : nullptr;
}

}  // namespace worldswitch
