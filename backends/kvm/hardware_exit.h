// The exit of the hardware behind an exit of KVM: what KVM hands over of it in
// internal errors, failed entries and unknown exits. The numbers are the
// vendor's; backends/vmx_intel and backends/svm_amd put them into words.

#ifndef WORLDSWITCH_BACKENDS_KVM_HARDWARE_EXIT_H_
#define WORLDSWITCH_BACKENDS_KVM_HARDWARE_EXIT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "core/exit.h"

namespace worldswitch {

// By the names that the tracepoint kvm_exit has for the same values. Empty: not
// told.
struct HardwareExit {
  bool entry_failed = false;                    // of KVM_EXIT_FAIL_ENTRY
  std::optional<std::uint64_t> reason = {};     // VMX exit reason, EXITCODE
  std::optional<std::uint64_t> info1 = {};      // qualification, EXITINFO1
  std::optional<std::uint64_t> info2 = {};      // IDT vectoring, EXITINFO2
  std::optional<std::uint64_t> intr_info = {};  // VM-exit interruption
                                                // information, EXITINTINFO 31:0
  std::optional<std::uint64_t> error_code = {};  // of the event in intr_info
  std::optional<std::uint64_t> gpa = {};         // guest-physical address
};

// What KVM told of the hardware's exit with `exit`; nothing of most exits.
// Layouts: Linux's arch/x86/kvm, 5.15 and newer; older ones tell less.
HardwareExit HardwareExitOf(const Exit& exit);

// Puts a hardware exit into words; of a vendor's backend.
using DescribeHardwareExit = std::string (*)(const HardwareExit& exit);

// What KVM itself says of an exit beyond its reason ("KVM_INTERNAL_ERROR_
// EMULATION, instruction bytes 0f 01 f9"), and what `describe` says of the
// hardware's exit behind it. describe may be null. "": there is nothing to add.
std::string ExplainKvmExit(const Exit& exit, DescribeHardwareExit describe);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_HARDWARE_EXIT_H_
