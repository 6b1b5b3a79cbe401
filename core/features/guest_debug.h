// Debugging the guest from outside: single step, breakpoints and watchpoints in
// the debug registers, and breakpoints written into its code. What they meet is
// a kDebug exit (core/exit.h, DebugExit) that the guest never sees.
//
//   auto* debug = FeatureOf<GuestDebug>(vm);
//   debug->set(0, {.single_step = true});
//   Exit exit = vm.vcpu(0).run();  // kDebug: exit.debug.pc, behind one
//   debug->set(0, {});             // instruction
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_GUEST_DEBUG_H_
#define WORLDSWITCH_CORE_FEATURES_GUEST_DEBUG_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// The R/W field of DR7 (SDM 3B, "Debug Control Register (DR7)").
enum class BreakpointKind : std::uint8_t {
  kExecute = 0,    // exits before the instruction
  kWrite = 1,      // exits behind the instruction that wrote
  kReadWrite = 3,  // ... that read or wrote, but for fetches
};

struct HardwareBreakpoint {
  std::uint64_t address = 0;  // linear; a multiple of length
  BreakpointKind kind = BreakpointKind::kExecute;
  std::uint8_t length = 1;  // bytes: 1, 2, 4, 8; kExecute: 1
};

inline constexpr std::uint32_t kHardwareBreakpoints = 4;  // DR0 to DR3

struct DebugRequest {
  // An exit behind every instruction, DebugExit::dr6 with BS (bit 14). One that
  // exits for itself (OUT, MMIO) may go without, as the engine likes.
  bool single_step = false;
  // INT3 (0xCC) exits, with DebugExit::exception 3 and pc at the INT3, instead
  // of raising the guest's #BP.
  bool software_breakpoints = false;
  // No interrupt is delivered meanwhile, so that a step does not lead into a
  // handler.
  bool block_interrupts = false;
  // The first hardware_count of them, in DR0 and up. The guest's own are out of
  // force meanwhile. DebugExit::dr6 tells in bits 0 to 3 which were met.
  HardwareBreakpoint hardware[kHardwareBreakpoints] = {{}, {}, {}, {}};
  std::uint32_t hardware_count = 0;
};

// The DR7 that puts the first hardware_count breakpoints in force, for
// processors and engines alike; 0 if one of them is none (length, alignment).
constexpr std::uint64_t Dr7Of(const DebugRequest& request) {
  constexpr std::uint64_t kFixed = std::uint64_t{1} << 10;  // reads as 1
  constexpr std::uint64_t kExactGlobal = std::uint64_t{1} << 9;
  if (request.hardware_count > kHardwareBreakpoints) return 0;
  std::uint64_t dr7 = kFixed | kExactGlobal;
  for (std::uint32_t i = 0; i < request.hardware_count; ++i) {
    const HardwareBreakpoint& point = request.hardware[i];
    std::uint64_t length = 0;  // the LEN field
    switch (point.length) {
      case 1:
        length = 0;
        break;
      case 2:
        length = 1;
        break;
      case 4:
        length = 3;
        break;
      case 8:
        length = 2;
        break;
      default:
        return 0;
    }
    if (point.address % point.length != 0 ||
        (point.kind == BreakpointKind::kExecute && point.length != 1)) {
      return 0;
    }
    const auto kind = static_cast<std::uint64_t>(point.kind);
    dr7 |= std::uint64_t{2} << (2 * i);  // G0 to G3
    dr7 |= (kind | length << 2) << (16 + 4 * i);
  }
  return dr7;
}

// Called by the thread that runs the vCPU, between two runs.
class GuestDebug {
 public:
  static constexpr FeatureId kId = FeatureId::kGuestDebug;

  // Takes the place of what was asked before; {} ends the debugging. First
  // completes the exit the vCPU is in (CMP.2) and sends its dirty registers.
  // Stepping begins at the RIP of now: after RIP or RFLAGS was changed, ask
  // again. An execution breakpoint exits again at the next run, until it is
  // taken away or RIP is moved on.
  // kUnsupported: the engine lacks a part of it. kError: EINVAL for a
  // breakpoint that is none, EBUSY between two exits of one instruction.
  virtual Result set(std::uint32_t vcpu, const DebugRequest& request) = 0;

  // Writes INT3 to guest-physical `gpa` of the main memory and keeps the byte
  // that was there; remove puts it back. To go on from one: remove, step,
  // insert. kError: EFAULT where no memory is, EEXIST and ENOENT.
  virtual Result insert_breakpoint(std::uint64_t gpa) = 0;
  virtual Result remove_breakpoint(std::uint64_t gpa) = 0;

  virtual int last_error() const = 0;

 protected:
  ~GuestDebug() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_GUEST_DEBUG_H_
