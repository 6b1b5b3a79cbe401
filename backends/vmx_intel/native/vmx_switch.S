// The world switch of VMX: from the first general register of the guest that is
// loaded to the last one that is stored, 33 instructions, VMRESUME included.
//
// ws_vmx_resume and ws_vmx_launch: RDI is a VmxSwitchFrame, and is it again on
// return. They come back with CF and ZF as VMRESUME or VMLAUNCH left them if
// there was no entry, and with both clear, as every VM exit leaves RFLAGS, if there
// was one. Where there was none, the frame's fail_invalid is CF. Of the other
// registers only RSP is kept.
//
// Nothing here but MOV, PUSH, POP and SETC between the flags and those who look at
// them. No speculation barriers: the guests are the host's own, and what such
// barriers cost is for a backend's knob to show, not for its floor to hide.

#include "backends/vmx_intel/native/vmx_switch_layout.h"

.macro ENTRY name, instruction
.balign 64
.global \name
.hidden \name
.type \name, @function
\name:
  // Where the exit leaves the landing for: the return address.
  mov %rsp, WS_VMX_HOST_RSP(%rdi)
  push %rdi

  mov WS_VMX_RAX(%rdi), %rax
  mov WS_VMX_RBX(%rdi), %rbx
  mov WS_VMX_RCX(%rdi), %rcx
  mov WS_VMX_RDX(%rdi), %rdx
  mov WS_VMX_RSI(%rdi), %rsi
  mov WS_VMX_RBP(%rdi), %rbp
  mov WS_VMX_R8(%rdi), %r8
  mov WS_VMX_R9(%rdi), %r9
  mov WS_VMX_R10(%rdi), %r10
  mov WS_VMX_R11(%rdi), %r11
  mov WS_VMX_R12(%rdi), %r12
  mov WS_VMX_R13(%rdi), %r13
  mov WS_VMX_R14(%rdi), %r14
  mov WS_VMX_R15(%rdi), %r15
  mov WS_VMX_RDI(%rdi), %rdi
  \instruction
  // No entry. RSP is the host's still.
  pop %rdi
  setc WS_VMX_FAIL_INVALID(%rdi)
  ret
.size \name, . - \name
.endm

.text
ENTRY ws_vmx_resume, vmresume
ENTRY ws_vmx_launch, vmlaunch

// HOST_RIP. HOST_RSP leads to the frame's address; see VmxLanding.
.balign 64
.global ws_vmx_exit
.hidden ws_vmx_exit
.type ws_vmx_exit, @function
ws_vmx_exit:
  push %rdi
  mov 8(%rsp), %rdi
  mov %rax, WS_VMX_RAX(%rdi)
  mov %rbx, WS_VMX_RBX(%rdi)
  mov %rcx, WS_VMX_RCX(%rdi)
  mov %rdx, WS_VMX_RDX(%rdi)
  mov %rsi, WS_VMX_RSI(%rdi)
  mov %rbp, WS_VMX_RBP(%rdi)
  mov %r8, WS_VMX_R8(%rdi)
  mov %r9, WS_VMX_R9(%rdi)
  mov %r10, WS_VMX_R10(%rdi)
  mov %r11, WS_VMX_R11(%rdi)
  mov %r12, WS_VMX_R12(%rdi)
  mov %r13, WS_VMX_R13(%rdi)
  mov %r14, WS_VMX_R14(%rdi)
  mov %r15, WS_VMX_R15(%rdi)
  pop WS_VMX_RDI(%rdi)

  mov WS_VMX_HOST_RSP(%rdi), %rsp
  ret
.size ws_vmx_exit, . - ws_vmx_exit

.section .note.GNU-stack, "", @progbits
