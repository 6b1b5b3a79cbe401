// The world switch as C++ sees it: the frame that vmx_switch.S works on, and
// one call.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/vmx_intel/native/vmx_switch_layout.h"
#include "core/registers.h"

namespace worldswitch {

// What the way into the guest and out of it touches, in one piece, so that one
// register leads to all of it. The guest's general registers lie where the
// contract has them; of those, RSP, RIP and RFLAGS are the VMCS's, and the
// switch leaves them alone.
struct VmxSwitchFrame {
  std::uint64_t host_rsp = 0;  // while the guest runs
  RegisterFile file = {};
  // Why the next run is not the plain one; VmxVcpu has the bits.
  std::uint32_t attention = 0;
  bool fail_invalid = false;  // the last entry that failed; else VMfailValid
  std::uint64_t cr2 = 0;      // the guest's
  std::uint64_t plain_exits = 0;  // of CPUID and VMCALL

  // Single instructions, so that a kick by an interrupt is not lost.
  void Attend(std::uint32_t bits) {
    asm volatile("orl %1, %0" : "+m"(attention) : "ri"(bits) : "cc", "memory");
  }
  void AttendNoMore(std::uint32_t bits) {
    asm volatile("andl %1, %0"
                 : "+m"(attention)
                 : "ri"(~bits)
                 : "cc", "memory");
  }
};

#define WS_VMX_SWITCH_OFFSET(member, offset)              \
  static_assert(offsetof(VmxSwitchFrame, file) +          \
                    offsetof(RegisterFile, general) +     \
                    offsetof(GeneralRegisters, member) == \
                (offset))
static_assert(offsetof(VmxSwitchFrame, host_rsp) == WS_VMX_HOST_RSP);
static_assert(offsetof(VmxSwitchFrame, fail_invalid) == WS_VMX_FAIL_INVALID);
WS_VMX_SWITCH_OFFSET(rax, WS_VMX_RAX);
WS_VMX_SWITCH_OFFSET(rbx, WS_VMX_RBX);
WS_VMX_SWITCH_OFFSET(rcx, WS_VMX_RCX);
WS_VMX_SWITCH_OFFSET(rdx, WS_VMX_RDX);
WS_VMX_SWITCH_OFFSET(rsi, WS_VMX_RSI);
WS_VMX_SWITCH_OFFSET(rdi, WS_VMX_RDI);
WS_VMX_SWITCH_OFFSET(rbp, WS_VMX_RBP);
WS_VMX_SWITCH_OFFSET(r8, WS_VMX_R8);
WS_VMX_SWITCH_OFFSET(r9, WS_VMX_R9);
WS_VMX_SWITCH_OFFSET(r10, WS_VMX_R10);
WS_VMX_SWITCH_OFFSET(r11, WS_VMX_R11);
WS_VMX_SWITCH_OFFSET(r12, WS_VMX_R12);
WS_VMX_SWITCH_OFFSET(r13, WS_VMX_R13);
WS_VMX_SWITCH_OFFSET(r14, WS_VMX_R14);
WS_VMX_SWITCH_OFFSET(r15, WS_VMX_R15);
#undef WS_VMX_SWITCH_OFFSET

extern "C" {
// Not functions for C++: see vmx_switch.S.
extern const std::uint8_t ws_vmx_resume[];
extern const std::uint8_t ws_vmx_launch[];
extern const std::uint8_t ws_vmx_exit[];
}

// The stack that a VM exit lands on, so that HOST_RSP never changes: the exit
// pushes one register there and leaves for the host's own stack. What is below
// is for an NMI that comes in between, on hosts whose NMIs have no stack of
// their own.
class VmxLanding {
 public:
  bool Create(const HostServices& host, VmxSwitchFrame* frame) {
    page_ = HostPages(host, 1);
    if (!page_) return false;
    *top() = frame;
    return true;
  }
  // For VmcsField::kHostRsp.
  std::uint64_t rsp() const { return reinterpret_cast<std::uint64_t>(top()); }

 private:
  VmxSwitchFrame** top() const {
    // 16 bytes from the end, as an interrupt aligns its frame.
    return page_.as<VmxSwitchFrame*>() + kPageBytes / sizeof(void*) - 2;
  }
  HostPages page_;
};

// Into the guest and out again: loads the guest's registers, VMRESUME or
// VMLAUNCH, and stores them at the exit. True: the guest was not entered, and
// frame->fail_invalid says how. (An entry that failed on guest state exits like
// a guest does, with bit 31 of the exit reason set.) Interrupts are off
// throughout.
//
// No function call to the compiler: it keeps nothing but the frame's address in
// registers across it, so a caller with nothing to keep saves nothing. No red
// zone, and no frame pointer.
#define WS_VMX_SWITCH_BY(symbol)                                              \
  asm volatile("call " symbol                                                 \
               : "=@ccbe"(failed)                                             \
               : "D"(frame)                                                   \
               : "rax", "rbx", "rcx", "rdx", "rsi", "rbp", "r8", "r9", "r10", \
                 "r11", "r12", "r13", "r14", "r15", "memory")
[[gnu::always_inline]] inline bool ResumeGuest(VmxSwitchFrame* frame) {
  bool failed = false;
  WS_VMX_SWITCH_BY("ws_vmx_resume");
  return failed;
}
[[gnu::always_inline]] inline bool LaunchGuest(VmxSwitchFrame* frame) {
  bool failed = false;
  WS_VMX_SWITCH_BY("ws_vmx_launch");
  return failed;
}
#undef WS_VMX_SWITCH_BY

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_H_
