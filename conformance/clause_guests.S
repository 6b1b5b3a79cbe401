// The guests of the conformance clauses, each for real mode and for 64-bit mode
// (ring 0 and ring 3 run the same 64-bit bytes).
//
// A guest is a macro guest_NAME. LABEL inside it names places that a check
// wants to know:
//   mark     where RIP is expected to be at some exit
//   handler  an interrupt or exception handler, run at ring 0
// General registers only, nothing that an engine which emulates ring 0 may lack.
// The code is position-independent and goes where LoadCode puts it; LONG is 1
// while 64-bit code is assembled.

#include "guests/layout.h"
#include "conformance/clause_guest_list.h"
#include "conformance/clause_layout.h"

.macro LABEL name, what
  .if LONG
    .global ws_clause_long_\name\()_\what
    .hidden ws_clause_long_\name\()_\what
    ws_clause_long_\name\()_\what\():
  .else
    .global ws_clause_real_\name\()_\what
    .hidden ws_clause_real_\name\()_\what
    ws_clause_real_\name\()_\what\():
  .endif
.endm

// A place that a guest does not have is its start.
.macro DEFAULT_LABEL name, what
  .if LONG
    .ifndef ws_clause_long_\name\()_\what
      LABEL \name, \what
    .endif
  .else
    .ifndef ws_clause_real_\name\()_\what
      LABEL \name, \what
    .endif
  .endif
.endm

.macro EMIT_GUEST name
  .balign 16, 0x90
  LABEL \name, start
  guest_\name
  .balign 16, 0x90
  DEFAULT_LABEL \name, mark
  DEFAULT_LABEL \name, handler
.endm

.macro INTERRUPT_RETURN
  .if LONG
    iretq
  .else
    iret
  .endif
.endm

// The hole in guest-physical memory: ES leads there in real mode, RSI in 64-bit
// mode.
.macro ADDRESS_HOLE
  .if LONG
    mov $WS_MMIO_HOLE, %esi
  .else
    mov $WS_MMIO_HOLE >> 4, %ax
    mov %ax, %es
  .endif
.endm
.macro MMIO_LOAD offset, register
  .if LONG
    mov \offset(%rsi), \register
  .else
    mov %es:\offset, \register
  .endif
.endm
.macro MMIO_STORE register, offset
  .if LONG
    mov \register, \offset(%rsi)
  .else
    mov \register, %es:\offset
  .endif
.endm

// ---- RUN --------------------------------------------------------------------

// Counts in memory, and says so: one OUT a number.
.macro guest_count
1:
  incl WS_CLAUSE_WORD
  mov WS_CLAUSE_WORD, %eax
  out %eax, $WS_CLAUSE_PORT_A
  jmp 1b
.endm

// OUT and IN of every size, then OUTS and INS.
.macro STRING_OUT instruction, size
  mov $WS_CLAUSE_STRING, %esi
  mov $WS_CLAUSE_STRING_BYTES / \size, %ecx
  rep \instruction
.endm
.macro STRING_IN instruction, size
  mov $WS_CLAUSE_FILLED, %edi
  mov $WS_CLAUSE_STRING_BYTES / \size, %ecx
  rep \instruction
  out %al, $WS_CLAUSE_PORT_B
.endm
.macro guest_port_sizes
  mov $0x44332211, %eax
  out %al, $WS_CLAUSE_PORT_A
  out %ax, $WS_CLAUSE_PORT_A
  out %eax, $WS_CLAUSE_PORT_A
  mov $WS_CLAUSE_PORT_WIDE, %edx
  out %al, %dx
  in $WS_CLAUSE_PORT_A, %al
  in $WS_CLAUSE_PORT_A, %ax
  in $WS_CLAUSE_PORT_A, %eax
  in %dx, %al
  cld
  STRING_OUT outsb, 1
  STRING_OUT outsw, 2
  STRING_OUT outsl, 4
  STRING_IN insb, 1
  STRING_IN insw, 2
  STRING_IN insl, 4
.endm

// Writes and reads of every size, each at an offset of its own.
.macro guest_mmio_sizes
  ADDRESS_HOLE
  mov $0x44332211, %eax
  .if LONG
    mov $0x8877665544332211, %rax
  .endif
  MMIO_STORE %al, 0x10
  MMIO_STORE %ax, 0x12
  MMIO_STORE %eax, 0x14
  .if LONG
    MMIO_STORE %rax, 0x18
  .endif
  MMIO_LOAD 0x20, %al
  MMIO_LOAD 0x22, %ax
  MMIO_LOAD 0x24, %eax
  .if LONG
    MMIO_LOAD 0x28, %rax
  .endif
  out %al, $WS_CLAUSE_PORT_B
.endm

// Counts in memory how often it was woken.
.macro guest_halt
1:
  hlt
  LABEL halt, mark
  incl WS_CLAUSE_WORD
  mov WS_CLAUSE_WORD, %eax
  out %eax, $WS_CLAUSE_PORT_A
  jmp 1b
.endm

// Takes #UD. The check has the IDT away by then.
.macro guest_fault
  out %al, $WS_CLAUSE_PORT_A
  ud2
  out %al, $WS_CLAUSE_PORT_B
.endm

// ---- CMP --------------------------------------------------------------------

// What it reads by IN it gives back by OUT, the rest of EAX included.
.macro guest_echo_io
1:
  mov $0x5a5a5a5a, %eax
  in $WS_CLAUSE_PORT_A, %al
  LABEL echo_io, mark
  out %eax, $WS_CLAUSE_PORT_B
  mov $0x5a5a5a5a, %eax
  in $WS_CLAUSE_PORT_A, %ax
  out %eax, $WS_CLAUSE_PORT_B
  in $WS_CLAUSE_PORT_A, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// The same for MMIO.
.macro guest_echo_mmio
1:
  ADDRESS_HOLE
  mov $0x5a5a5a5a, %eax
  MMIO_LOAD 0, %al
  LABEL echo_mmio, mark
  out %eax, $WS_CLAUSE_PORT_B
  mov $0x5a5a5a5a, %eax
  MMIO_LOAD 0, %ax
  out %eax, $WS_CLAUSE_PORT_B
  MMIO_LOAD 0, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// The same for RDMSR, low half first.
.macro guest_echo_msr
  mov $WS_CLAUSE_MSR, %ecx
  rdmsr
  LABEL echo_msr, mark
  out %eax, $WS_CLAUSE_PORT_B
  mov %edx, %eax
  out %eax, $WS_CLAUSE_PORT_B
.endm

// EBX counts the instructions that exit as they are begun; the last OUT of a
// round tells.
.macro guest_ledger
  ADDRESS_HOLE
  xor %ebx, %ebx
1:
  inc %ebx
  in $WS_CLAUSE_PORT_A, %al
  inc %ebx
  out %al, $WS_CLAUSE_PORT_A
  inc %ebx
  MMIO_LOAD 0, %al
  inc %ebx
  MMIO_STORE %al, 4
  inc %ebx
  .if LONG
    addl $0x10, 8(%rsi)
  .else
    addl $0x10, %es:8
  .endif
  mov %ebx, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// ---- REG --------------------------------------------------------------------

// Writes down every register as it finds them, and what FS leads to.
.macro guest_store_registers
1:
  out %al, $WS_CLAUSE_PORT_A
  .if LONG
    mov %rax, WS_CLAUSE_REGISTERS + 8 * 0
    mov %rcx, WS_CLAUSE_REGISTERS + 8 * 1
    mov %rdx, WS_CLAUSE_REGISTERS + 8 * 2
    mov %rbx, WS_CLAUSE_REGISTERS + 8 * 3
    mov %rsp, WS_CLAUSE_REGISTERS + 8 * 4
    mov %rbp, WS_CLAUSE_REGISTERS + 8 * 5
    mov %rsi, WS_CLAUSE_REGISTERS + 8 * 6
    mov %rdi, WS_CLAUSE_REGISTERS + 8 * 7
    mov %r8, WS_CLAUSE_REGISTERS + 8 * 8
    mov %r9, WS_CLAUSE_REGISTERS + 8 * 9
    mov %r10, WS_CLAUSE_REGISTERS + 8 * 10
    mov %r11, WS_CLAUSE_REGISTERS + 8 * 11
    mov %r12, WS_CLAUSE_REGISTERS + 8 * 12
    mov %r13, WS_CLAUSE_REGISTERS + 8 * 13
    mov %r14, WS_CLAUSE_REGISTERS + 8 * 14
    mov %r15, WS_CLAUSE_REGISTERS + 8 * 15
  .else
    mov %eax, WS_CLAUSE_REGISTERS + 8 * 0
    mov %ecx, WS_CLAUSE_REGISTERS + 8 * 1
    mov %edx, WS_CLAUSE_REGISTERS + 8 * 2
    mov %ebx, WS_CLAUSE_REGISTERS + 8 * 3
    mov %esp, WS_CLAUSE_REGISTERS + 8 * 4
    mov %ebp, WS_CLAUSE_REGISTERS + 8 * 5
    mov %esi, WS_CLAUSE_REGISTERS + 8 * 6
    mov %edi, WS_CLAUSE_REGISTERS + 8 * 7
  .endif
  mov %fs:0, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// Fills every register with its pattern. AX: the selector for FS.
.macro LOAD_PATTERN register, number
  mov $WS_CLAUSE_PATTERN + \number, \register
.endm
.macro LOAD_PATTERN_64 register, number
  mov $((WS_CLAUSE_PATTERN_HIGH + \number) << 32) + WS_CLAUSE_PATTERN + \number, \register
.endm
.macro guest_load_registers
  mov %ax, %fs
  .if LONG
    LOAD_PATTERN_64 %rax, 0
    LOAD_PATTERN_64 %rcx, 1
    LOAD_PATTERN_64 %rdx, 2
    LOAD_PATTERN_64 %rbx, 3
    push %rax
    LOAD_PATTERN_64 %rbp, 5
    LOAD_PATTERN_64 %rsi, 6
    LOAD_PATTERN_64 %rdi, 7
    LOAD_PATTERN_64 %r8, 8
    LOAD_PATTERN_64 %r9, 9
    LOAD_PATTERN_64 %r10, 10
    LOAD_PATTERN_64 %r11, 11
    LOAD_PATTERN_64 %r12, 12
    LOAD_PATTERN_64 %r13, 13
    LOAD_PATTERN_64 %r14, 14
    LOAD_PATTERN_64 %r15, 15
  .else
    LOAD_PATTERN %eax, 0
    LOAD_PATTERN %ecx, 1
    LOAD_PATTERN %edx, 2
    LOAD_PATTERN %ebx, 3
    push %ax
    LOAD_PATTERN %ebp, 5
    LOAD_PATTERN %esi, 6
    LOAD_PATTERN %edi, 7
  .endif
  stc
  out %al, $WS_CLAUSE_PORT_A
  LABEL load_registers, mark
  jmp .
.endm

// Says EBX, then what FS leads to.
.macro guest_echo_registers
1:
  mov %ebx, %eax
  out %eax, $WS_CLAUSE_PORT_A
  mov %fs:0, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// ---- INJ and WIN ------------------------------------------------------------

// EBX counts the turns begun. The handler says how many it sees.
.macro HANDLER name
  LABEL \name, handler
  .if LONG
    push %rax
  .else
    push %eax
  .endif
  mov %ebx, %eax
  out %eax, $WS_CLAUSE_PORT_HANDLER
  .if LONG
    pop %rax
  .else
    pop %eax
  .endif
  INTERRUPT_RETURN
.endm
.macro guest_interruptible
  xor %ebx, %ebx
1:
  out %al, $WS_CLAUSE_PORT_A
  inc %ebx
  mov %ebx, %eax
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
  HANDLER interruptible
.endm

// The handler says which error code it was given. Real mode has none.
.macro guest_exception
1:
  out %al, $WS_CLAUSE_PORT_A
  out %al, $WS_CLAUSE_PORT_B
  jmp 1b
  LABEL exception, handler
  .if LONG
    pop %rax
  .endif
  out %eax, $WS_CLAUSE_PORT_HANDLER
  INTERRUPT_RETURN
.endm

// As many turns as the host asks for: they give an engine time to notice that a
// window is open.
.macro TURN
  mov WS_CLAUSE_WORD, %ecx
9:
  dec %ecx
  jnz 9b
.endm

// Starts with interrupts off, and leaves them off for a while.
.macro guest_window_opens
  xor %ebx, %ebx
  out %al, $WS_CLAUSE_PORT_A
  TURN
  out %al, $WS_CLAUSE_PORT_B
  sti
1:
  TURN
  out %al, $WS_CLAUSE_PORT_LATE
  jmp 1b
  HANDLER window_opens
.endm

// Starts with interrupts on.
.macro guest_window_is_open
  xor %ebx, %ebx
1:
  out %al, $WS_CLAUSE_PORT_A
  TURN
  out %al, $WS_CLAUSE_PORT_B
  jmp 1b
  HANDLER window_is_open
.endm

// ---- KICK, MEM, SMP ---------------------------------------------------------

// Never exits by itself; counts in memory.
.macro guest_spin
1:
  incl WS_CLAUSE_WORD
  jmp 1b
.endm

// Says what it reads in memory, then fills memory with it, then says a number
// that the host writes into the code.
.macro guest_echo_memory
  cld
1:
  mov WS_CLAUSE_WORD, %eax
  out %eax, $WS_CLAUSE_PORT_A
  not %eax
  mov %eax, WS_CLAUSE_WORD_2
  mov $WS_CLAUSE_FILLED, %edi
  mov $WS_CLAUSE_FILLED_BYTES, %ecx
  rep stosb
  mov $0x11111111, %eax
  LABEL echo_memory, mark
  out %eax, $WS_CLAUSE_PORT_B
  jmp 1b
.endm

// Two of them meet ECX times: each writes its turn to ESI's word, and waits
// until EDI's word has it too.
.macro guest_rendezvous
  xor %ebx, %ebx
1:
  inc %ebx
  .if LONG
    mov %ebx, (%rsi)
  .else
    mov %ebx, (%si)
  .endif
2:
  pause
  .if LONG
    mov (%rdi), %eax
  .else
    mov (%di), %eax
  .endif
  cmp %ebx, %eax
  jb 2b
  cmp %ecx, %ebx
  jne 1b
  mov %ebx, %eax
  out %eax, $WS_CLAUSE_PORT_A
  jmp .
.endm

// ---- All of it, twice -------------------------------------------------------

.section .rodata.clause_guests, "a"

#define EMIT(name) EMIT_GUEST name;

.balign 16
.global ws_clause_real_begin
.hidden ws_clause_real_begin
ws_clause_real_begin:
.set LONG, 0
.code16
WS_CLAUSE_GUESTS(EMIT)
.global ws_clause_real_end
.hidden ws_clause_real_end
ws_clause_real_end:

.balign 16
.global ws_clause_long_begin
.hidden ws_clause_long_begin
ws_clause_long_begin:
.set LONG, 1
.code64
WS_CLAUSE_GUESTS(EMIT)
.global ws_clause_long_end
.hidden ws_clause_long_end
ws_clause_long_end:

.section .note.GNU-stack, "", @progbits
