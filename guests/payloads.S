// The guests: one payload for each kind of exit, for real mode and for long
// mode (ring 0 and ring 3 run the same long-mode bytes).
//
// A payload is made of up to five macros, each of which may be left out:
//   begin_NAME   once per block: load what stays in registers
//   pre_NAME     before a sample's first stamp
//   setup_NAME   between the stamps, in the control as well: so that the
//                difference between sample and control is the instruction alone
//   insn_NAME    the instruction that exits, not in the control
//   post_NAME    after a sample's second stamp
// They may use every register but RDI (sample pointer), RBP (iterations left)
// and RSP. The loops around them, and the dispatch on the mailbox's command,
// come from EMIT below.
//
// The code is position-independent; what it addresses absolutely stands in
// layout.h. LONG is 1 while long-mode code is assembled.

#include "guests/layout.h"
#include "guests/payload_list.h"

// ---- The frame around every payload ----------------------------------------

// Stores the TSC at \offset of the current sample: three instructions.
.macro STAMP offset
  rdtsc
  .if LONG
    mov %eax, \offset(%rdi)
    mov %edx, \offset + 4(%rdi)
  .else
    mov %eax, \offset(%di)
    mov %edx, \offset + 4(%di)
  .endif
.endm

// Waits until everything before has finished, so that the stamp that follows
// is not taken early. Outside the measured span. Real mode goes without: not
// every engine can emulate LFENCE there.
.macro FENCE
  .if LONG
    lfence
  .endif
.endm

.macro CALL_IF_DEFINED prefix, name
  .ifdef has_\prefix\()_\name
    \prefix\()_\name
  .endif
.endm

.macro SAMPLE_LOOP name, with_instruction
.Lnext\@:
  CALL_IF_DEFINED pre, \name
  FENCE
  STAMP 0
  CALL_IF_DEFINED setup, \name
  .if \with_instruction
    CALL_IF_DEFINED insn, \name
  .endif
  // A payload whose interrupt handler takes the second stamp says so.
  .ifdef handler_stamps_\name
    .if \with_instruction == 0
      STAMP 8
    .endif
  .else
    STAMP 8
  .endif
  CALL_IF_DEFINED post, \name
  add $WS_SAMPLE_BYTES, %edi
  dec %ebp
  jnz .Lnext\@
.endm

.macro BATCH_LOOP name, with_instruction
  FENCE
  rdtsc
  mov %eax, WS_MAILBOX_START
  mov %edx, WS_MAILBOX_START + 4
.Lnext\@:
  CALL_IF_DEFINED pre, \name
  CALL_IF_DEFINED setup, \name
  .if \with_instruction
    CALL_IF_DEFINED insn, \name
  .endif
  CALL_IF_DEFINED post, \name
  dec %ebp
  jnz .Lnext\@
  rdtsc
  mov %eax, WS_MAILBOX_END
  mov %edx, WS_MAILBOX_END + 4
.endm

.macro EMIT_PAYLOAD name
  .balign 16, 0x90
  .if LONG
    .global ws_long_\name
    .hidden ws_long_\name
    ws_long_\name\():
  .else
    .global ws_real_\name
    .hidden ws_real_\name
    ws_real_\name\():
  .endif
.Lagain\@:
  CALL_IF_DEFINED begin, \name
  mov WS_MAILBOX_COUNT, %ebp
  mov $WS_SAMPLES, %edi
  mov WS_MAILBOX_COMMAND, %eax
  cmp $WS_COMMAND_SAMPLE_CONTROL, %eax
  je .Lcontrol\@
  cmp $WS_COMMAND_BATCH, %eax
  je .Lbatch\@
  cmp $WS_COMMAND_BATCH_CONTROL, %eax
  je .Lbatch_control\@
  .balign 16, 0x90
  SAMPLE_LOOP \name, 1
  jmp .Ldone\@
  .balign 16, 0x90
.Lcontrol\@:
  SAMPLE_LOOP \name, 0
  jmp .Ldone\@
  .balign 16, 0x90
.Lbatch\@:
  BATCH_LOOP \name, 1
  jmp .Ldone\@
  .balign 16, 0x90
.Lbatch_control\@:
  BATCH_LOOP \name, 0
.Ldone\@:
  out %al, $WS_PORT_DONE
  jmp .Lagain\@
.endm

// ---- The payloads -----------------------------------------------------------

// empty: what the stamps and the loop cost by themselves.

.set has_insn_pio_out, 1
.macro insn_pio_out
  out %al, $WS_PORT_TEST
.endm

.set has_insn_pio_in, 1
.macro insn_pio_in
  in $WS_PORT_TEST, %al
.endm

// REP OUTSB of WS_STRING_BYTES.
.set has_setup_pio_string, 1
.macro setup_pio_string
  mov $WS_STRING_BYTES, %ecx
  mov $WS_MAILBOX_STRING, %esi
  mov $WS_PORT_STRING, %edx
.endm
.set has_insn_pio_string, 1
.macro insn_pio_string
  rep outsb
.endm

// ES leads to the hole in real mode, RSI in long mode.
.macro ADDRESS_HOLE
  .if LONG
    mov $WS_MMIO_HOLE, %esi
  .else
    mov $WS_MMIO_HOLE >> 4, %ax
    mov %ax, %es
  .endif
.endm

.set has_begin_mmio_read, 1
.macro begin_mmio_read
  ADDRESS_HOLE
.endm
.set has_insn_mmio_read, 1
.macro insn_mmio_read
  .if LONG
    mov (%rsi), %eax
  .else
    mov %es:0, %eax
  .endif
.endm

.set has_begin_mmio_write, 1
.macro begin_mmio_write
  ADDRESS_HOLE
.endm
.set has_insn_mmio_write, 1
.macro insn_mmio_write
  .if LONG
    mov %eax, (%rsi)
  .else
    mov %eax, %es:0
  .endif
.endm

.set has_insn_hlt, 1
.macro insn_hlt
  hlt
.endm

// ARG0: the leaf. CPUID overwrites EBX, so it is loaded every time.
.set has_setup_cpuid, 1
.macro setup_cpuid
  mov WS_MAILBOX_ARG0, %eax
  xor %ecx, %ecx
.endm
.set has_insn_cpuid, 1
.macro insn_cpuid
  cpuid
.endm

// ARG0: the hypercall's number.
.set has_setup_vmcall, 1
.macro setup_vmcall
  mov WS_MAILBOX_ARG0, %eax
.endm
.set has_insn_vmcall, 1
.macro insn_vmcall
  vmcall
.endm
.set has_setup_vmmcall, 1
.macro setup_vmmcall
  mov WS_MAILBOX_ARG0, %eax
.endm
.set has_insn_vmmcall, 1
.macro insn_vmmcall
  vmmcall
.endm

// ARG0: the MSR. ARG1: the value, low half.
.set has_begin_rdmsr, 1
.macro begin_rdmsr
  mov WS_MAILBOX_ARG0, %ecx
.endm
.set has_insn_rdmsr, 1
.macro insn_rdmsr
  rdmsr
.endm
.set has_begin_wrmsr, 1
.macro begin_wrmsr
  mov WS_MAILBOX_ARG0, %ecx
  mov WS_MAILBOX_ARG1, %ebx
.endm
.set has_setup_wrmsr, 1
.macro setup_wrmsr
  mov %ebx, %eax
  xor %edx, %edx
.endm
.set has_insn_wrmsr, 1
.macro insn_wrmsr
  wrmsr
.endm

// MOV CR toggles the bits in ARG0 (none for CR3), so that an engine that
// compares with a shadow has to look.
.macro READ_CR number
  .if LONG
    mov %cr\number, %rbx
  .else
    mov %cr\number, %ebx
  .endif
.endm
.macro WRITE_CR number
  .if LONG
    mov %rbx, %cr\number
  .else
    mov %ebx, %cr\number
  .endif
.endm
.set has_begin_mov_cr0, 1
.macro begin_mov_cr0
  READ_CR 0
  mov WS_MAILBOX_ARG0, %esi
.endm
.set has_setup_mov_cr0, 1
.macro setup_mov_cr0
  xor %esi, %ebx
.endm
.set has_insn_mov_cr0, 1
.macro insn_mov_cr0
  WRITE_CR 0
.endm
.set has_begin_mov_cr3, 1
.macro begin_mov_cr3
  READ_CR 3
.endm
.set has_insn_mov_cr3, 1
.macro insn_mov_cr3
  WRITE_CR 3
.endm
.set has_begin_mov_cr4, 1
.macro begin_mov_cr4
  READ_CR 4
  mov WS_MAILBOX_ARG0, %esi
.endm
.set has_setup_mov_cr4, 1
.macro setup_mov_cr4
  xor %esi, %ebx
.endm
.set has_insn_mov_cr4, 1
.macro insn_mov_cr4
  WRITE_CR 4
.endm
// CR8 exists in 64-bit mode only.
.set has_begin_mov_cr8, 1
.macro begin_mov_cr8
  .if LONG
    xor %ebx, %ebx
  .endif
.endm
.set has_insn_mov_cr8, 1
.macro insn_mov_cr8
  .if LONG
    mov %rbx, %cr8
  .else
    ud2
  .endif
.endm

// DR7 with its fixed bit: no breakpoint is armed.
.set has_begin_mov_dr, 1
.macro begin_mov_dr
  mov $0x400, %ebx
.endm
.set has_insn_mov_dr, 1
.macro insn_mov_dr
  .if LONG
    mov %rbx, %db7
  .else
    mov %ebx, %db7
  .endif
.endm

.set has_insn_wbinvd, 1
.macro insn_wbinvd
  wbinvd
.endm

.set has_insn_pause, 1
.macro insn_pause
  pause
.endm

// Writes one byte at ARG0, then goes on by ARG1 bytes.
.set has_begin_touch, 1
.macro begin_touch
  mov WS_MAILBOX_ARG0, %esi
  mov WS_MAILBOX_ARG1, %ebx
  .if LONG == 0
    shr $4, %esi
    shr $4, %ebx
    mov %si, %es
  .endif
.endm
.set has_insn_touch, 1
.macro insn_touch
  .if LONG
    movb $1, (%rsi)
  .else
    movb $1, %es:0
  .endif
.endm
.set has_post_touch, 1
.macro post_touch
  .if LONG
    add %ebx, %esi
  .else
    mov %es, %ax
    add %bx, %ax
    mov %ax, %es
  .endif
.endm

// Writes to one clean page after another while the ring is one entry short of
// full. FLAG: 0 while the block fills it, 1 once it was full, 2 before each
// write, 3 when the host has dealt with it (an engine may look at the ring late,
// so the guest waits). The filling goes slowly for the same reason.
.macro NEXT_RING_PAGE
  add $0x1000, %esi
  and $(WS_RING_BYTES - 0x1000), %esi
.endm
.set has_begin_dirty_ring, 1
.macro begin_dirty_ring
  .if LONG
    movl $0, WS_MAILBOX_FLAG
    mov $(WS_RING_BYTES >> 12), %ecx
.Lfill_\@:
    movb $1, WS_RING(%rsi)
    NEXT_RING_PAGE
    .rept 40
      nop
    .endr
    cmpl $0, WS_MAILBOX_FLAG
    jne .Lfilled_\@
    dec %ecx
    jnz .Lfill_\@
.Lfilled_\@:
    out %al, $WS_PORT_ARM
  .endif
.endm
.set has_pre_dirty_ring, 1
.macro pre_dirty_ring
  movl $2, WS_MAILBOX_FLAG
.endm
.set has_insn_dirty_ring, 1
.macro insn_dirty_ring
  .if LONG
    movb $1, WS_RING(%rsi)
.Lwait_\@:
    cmpl $3, WS_MAILBOX_FLAG
    jne .Lwait_\@
  .endif
.endm
.set has_post_dirty_ring, 1
.macro post_dirty_ring
  NEXT_RING_PAGE
.endm

// UD2 without an IDT to go to. At WS_PORT_ARM the host keeps the registers, to
// put them back after the shutdown with RBX as RIP: behind the UD2 (where there
// is none, 77 is in post).
.set has_pre_triple_fault, 1
.macro pre_triple_fault
  .if LONG
    lea 77f(%rip), %rbx
  .else
    xor %ebx, %ebx
    call 76f
  76:
    pop %bx
    add $(77f - 76b), %bx
  .endif
  out %al, $WS_PORT_ARM
.endm
.set has_insn_triple_fault, 1
.macro insn_triple_fault
  ud2
77:
.endm
.set has_post_triple_fault, 1
.macro post_triple_fault
77:
.endm

// The host arms the window at WS_PORT_ARM. It opens one instruction after STI;
// an engine may notice later, so the guest waits for the host to say it came.
.set has_pre_irq_window, 1
.macro pre_irq_window
  movl $0, WS_MAILBOX_FLAG
  out %al, $WS_PORT_ARM
.endm
.set has_insn_irq_window, 1
.macro insn_irq_window
  sti
  nop
.Lwait\@:
  cmpl $0, WS_MAILBOX_FLAG
  je .Lwait\@
.endm
.set has_post_irq_window, 1
.macro post_irq_window
  cli
.endm

// The host injects on the way back from WS_PORT_TEST; the handler stamps.
.set has_insn_interrupt, 1
.set handler_stamps_interrupt, 1
.macro insn_interrupt
  out %al, $WS_PORT_TEST
.endm

// Never finishes a block by itself: only a kick ends it.
.set has_insn_spin, 1
.macro insn_spin
.Lhere\@:
  pause
  jmp .Lhere\@
.endm

#include "guests/apic_payloads.inc"
#include "guests/asked_payloads.inc"
#include "guests/native_payloads.inc"
#include "guests/vmexit_payloads.inc"

// ---- Interrupts and exceptions ---------------------------------------------

.macro EMIT_HANDLERS prefix
  .balign 16, 0x90
  .global ws_\prefix\()_stamp_handler
  .hidden ws_\prefix\()_stamp_handler
ws_\prefix\()_stamp_handler:
  STAMP 8
  .if LONG
    iretq
  .else
    iret
  .endif

  // One stub of WS_FAULT_STUB_BYTES for each exception vector.
  .balign 16, 0x90
  .global ws_\prefix\()_fault_stubs
  .hidden ws_\prefix\()_fault_stubs
ws_\prefix\()_fault_stubs:
  .set vector, 0
  .rept 32
    .balign 16, 0x90
    movl $vector, WS_MAILBOX_VECTOR
    jmp ws_\prefix\()_fault
    .set vector, vector + 1
  .endr
  .balign 16, 0x90
ws_\prefix\()_fault:
  .if LONG
    mov %rsp, WS_MAILBOX_FRAME
  .else
    mov %esp, WS_MAILBOX_FRAME
  .endif
1:
  out %al, $WS_PORT_FAULT
  jmp 1b
.endm

// ---- All of it, twice -------------------------------------------------------

.section .rodata.guests, "a"
.balign 16
.global ws_guest_begin
.hidden ws_guest_begin
ws_guest_begin:

.set LONG, 0
.code16
#define EMIT(name) EMIT_PAYLOAD name;
WS_PAYLOADS(EMIT)
EMIT_HANDLERS real
EMIT_APIC_HANDLERS real

.set LONG, 1
.code64
WS_PAYLOADS(EMIT)
EMIT_HANDLERS long
EMIT_APIC_HANDLERS long

.global ws_guest_end
.hidden ws_guest_end
ws_guest_end:

.section .note.GNU-stack, "", @progbits
