/* The world switch (APM 2, 15.5, 15.6, 15.17). See svm_switch.h.
 *
 * The caller has cleared the global interrupt flag (CLGI) and looked whether the
 * vCPU was kicked. From there to STGI nothing interrupts: an interrupt or NMI
 * that comes waits for the guest, and ends it, or for STGI. VMRUN itself saves
 * and restores the host's RAX, RSP, RIP, RFLAGS, CR0, CR3, CR4, EFER, GDTR,
 * IDTR, ES, CS, SS and DS. */

#include "backends/svm_amd/native/svm_switch_layout.h"

  .macro LOAD_GUEST
  mov WS_SVM_RBX(%rdi), %rbx
  mov WS_SVM_RCX(%rdi), %rcx
  mov WS_SVM_RDX(%rdi), %rdx
  mov WS_SVM_RSI(%rdi), %rsi
  mov WS_SVM_RBP(%rdi), %rbp
  mov WS_SVM_R8(%rdi), %r8
  mov WS_SVM_R9(%rdi), %r9
  mov WS_SVM_R10(%rdi), %r10
  mov WS_SVM_R11(%rdi), %r11
  mov WS_SVM_R12(%rdi), %r12
  mov WS_SVM_R13(%rdi), %r13
  mov WS_SVM_R14(%rdi), %r14
  mov WS_SVM_R15(%rdi), %r15
  mov WS_SVM_RDI(%rdi), %rdi
  .endm

  .macro STORE_GUEST /* RAX: where */
  mov %rbx, WS_SVM_RBX(%rax)
  mov %rcx, WS_SVM_RCX(%rax)
  mov %rdx, WS_SVM_RDX(%rax)
  mov %rsi, WS_SVM_RSI(%rax)
  mov %rdi, WS_SVM_RDI(%rax)
  mov %rbp, WS_SVM_RBP(%rax)
  mov %r8, WS_SVM_R8(%rax)
  mov %r9, WS_SVM_R9(%rax)
  mov %r10, WS_SVM_R10(%rax)
  mov %r11, WS_SVM_R11(%rax)
  mov %r12, WS_SVM_R12(%rax)
  mov %r13, WS_SVM_R13(%rax)
  mov %r14, WS_SVM_R14(%rax)
  mov %r15, WS_SVM_R15(%rax)
  .endm

  .macro LEAVE
  stgi /* what waited is taken here, with IF still set */
  mov %rax, %rdi
  cli
  ret
  .endm

  .text
  .balign 64
  .globl ws_svm_switch
  .type ws_svm_switch, @function
ws_svm_switch: /* rdi: frame, and on return */
  push %rdi
  /* With V_INTR_MASKING it is the host's IF at VMRUN that lets interrupts end
   * the guest. Not the instruction before VMRUN: its shadow would last there. */
  sti
  mov WS_SVM_VMCB_PA(%rdi), %rax
  LOAD_GUEST
  vmrun %rax
  pop %rax
  STORE_GUEST
  LEAVE
  .size ws_svm_switch, . - ws_svm_switch

  .balign 64
  .globl ws_svm_switch_all
  .type ws_svm_switch_all, @function
ws_svm_switch_all: /* and rdx: where the host's state goes */
  push %rdx
  push %rdi
  sti
  mov %rdx, %rax
  vmsave %rax
  mov WS_SVM_VMCB_PA(%rdi), %rax
  vmload %rax
  LOAD_GUEST
  vmrun %rax
  vmsave %rax
  pop %rax
  STORE_GUEST
  mov %rax, %rcx
  pop %rax
  vmload %rax
  mov %rcx, %rax
  LEAVE
  .size ws_svm_switch_all, . - ws_svm_switch_all

  .section .note.GNU-stack, "", @progbits
