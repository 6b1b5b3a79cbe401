// The state of a VM, part by part and as a whole: read, written, and carried
// into another VM.
//
//   auto* state = FeatureOf<VcpuStateAccess>(vm);
//   state->save(buffer, state->saved_size());
//   FeatureOf<VcpuStateAccess>(other)->restore(buffer, size);
//
// Parts are opaque: bytes as the engine keeps them, good for the same engine
// only. Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_VCPU_STATE_H_
#define WORLDSWITCH_CORE_FEATURES_VCPU_STATE_H_

#include <cstddef>
#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// Parts of a vCPU's state, in the order in which they are restored.
enum class StatePart : std::uint8_t {
  kGeneralRegisters,  // with RIP and RFLAGS
  kSpecialRegisters,  // segments, control registers, EFER, APIC base, PDPTRs
  kFpu,               // x87 and XMM; MXCSR is in kXsave alone
  kXcrs,              // XCR0
  kXsave,             // every extended component, in the XSAVE image
  kDebugRegisters,    // DR0 to DR3, DR6, DR7
  kLapic,             // where the interrupt controller is the engine's
  kMpState,           // runnable, halted, waiting for SIPI
  kMsrs,              // all that the engine lists and lets be read
  kNestedState,       // of a hypervisor in the guest
  kEvents,            // exceptions, interrupts, NMIs pending or being delivered
  kCount
};

constexpr const char* StatePartName(StatePart part) {
  switch (part) {
    case StatePart::kGeneralRegisters:
      return "general_registers";
    case StatePart::kSpecialRegisters:
      return "special_registers";
    case StatePart::kFpu:
      return "fpu";
    case StatePart::kXcrs:
      return "xcrs";
    case StatePart::kXsave:
      return "xsave";
    case StatePart::kDebugRegisters:
      return "debug_registers";
    case StatePart::kLapic:
      return "lapic";
    case StatePart::kMpState:
      return "mp_state";
    case StatePart::kMsrs:
      return "msrs";
    case StatePart::kNestedState:
      return "nested_state";
    case StatePart::kEvents:
      return "events";
    case StatePart::kCount:
      break;
  }
  return "(no such part)";
}

// An entry of StatePart::kMsrs.
struct MsrValue {
  std::uint32_t index;
  std::uint32_t reserved;  // 0
  std::uint64_t value;
};

// None of the vCPUs may be running, and one thread at a time calls. Everything
// here first completes the exit a vCPU is in (CMP.2) and sends its dirty
// registers. Between two exits of one instruction there is no state to speak
// of: the answer is kError with EBUSY, and the caller runs on to the next exit.
class VcpuStateAccess {
 public:
  static constexpr FeatureId kId = FeatureId::kVcpuState;

  // Bytes of that part of that vCPU; 0 where this VM has no such part.
  virtual std::size_t part_size(std::uint32_t vcpu, StatePart part) = 0;
  // size: at least part_size() for get (the rest is left alone), exactly that
  // for set. kUnsupported: no such part. kError: the engine refused, and
  // last_error() says why; EINVAL also where the size is wrong.
  virtual Result get_part(std::uint32_t vcpu, StatePart part, void* to,
                          std::size_t size) = 0;
  // The register file's cache of that vCPU is dropped.
  virtual Result set_part(std::uint32_t vcpu, StatePart part, const void* from,
                          std::size_t size) = 0;

  // Everything: the main memory, each part of each vCPU, the clock, and the
  // interrupt controllers where they are the engine's. Not in it: memory slots
  // of the caller's own, interrupt routes, CPUID, knobs, requested windows;
  // the other VM has to be made with the same.
  virtual std::size_t saved_size() = 0;
  // size: at least saved_size().
  virtual Result save(void* to, std::size_t size) = 0;
  // Into a VM of the same memory and vCPUs, usually a new one. What is not a
  // saved state, or does not fit, is refused with EINVAL and changes nothing.
  // After an error of the engine the VM is of no use: make another.
  virtual Result restore(const void* from, std::size_t size) = 0;

  // errno of the last answer that was kError; 0 if none was.
  virtual int last_error() const = 0;

 protected:
  ~VcpuStateAccess() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_VCPU_STATE_H_
