/* Offsets in a VmxSwitchFrame that vmx_switch.S uses; vmx_switch.h checks them
 * against the structure. Constants only: the assembler reads it. */

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_

#define WS_VMX_HOST_RSP 0
#define WS_VMX_LAUNCHED 8
#define WS_VMX_RAX 16
#define WS_VMX_RBX 24
#define WS_VMX_RCX 32
#define WS_VMX_RDX 40
#define WS_VMX_RSI 48
#define WS_VMX_RDI 56
#define WS_VMX_RBP 72
#define WS_VMX_R8 80
#define WS_VMX_R9 88
#define WS_VMX_R10 96
#define WS_VMX_R11 104
#define WS_VMX_R12 112
#define WS_VMX_R13 120
#define WS_VMX_R14 128
#define WS_VMX_R15 136

#endif /* WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_SWITCH_LAYOUT_H_ */
