/* Offsets in a VmxSwitchFrame that vmx_switch.S uses; vmx_switch.h checks them
 * against the structure. Constants only: the assembler reads it. */

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_

#define WS_VMX_HOST_RSP 0
#define WS_VMX_RAX 8
#define WS_VMX_RBX 16
#define WS_VMX_RCX 24
#define WS_VMX_RDX 32
#define WS_VMX_RSI 40
#define WS_VMX_RDI 48
#define WS_VMX_RBP 64
#define WS_VMX_R8 72
#define WS_VMX_R9 80
#define WS_VMX_R10 88
#define WS_VMX_R11 96
#define WS_VMX_R12 104
#define WS_VMX_R13 112
#define WS_VMX_R14 120
#define WS_VMX_R15 128
#define WS_VMX_FAIL_INVALID 444

#endif /* WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_ */
