/* From the boot loader to C++: multiboot 1 (Multiboot Specification 0.6.96,
 * section 3), 32-bit protected mode to 64-bit mode with 4 GiB mapped to
 * themselves, a GDT with one 64-bit TSS, and the stubs behind the IDT. */

#include "native/machine_layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on pages; memory sizes wanted */

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800
#define PTE_PRESENT_WRITABLE 0x3
#define PDE_LARGE 0x83 /* 2 MiB, present, writable */

  .section .multiboot, "a"
  .balign 4
multiboot_header:
  .long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

  .section .bss
  .balign 4096
pml4:
  .skip 4096
pdpt:
  .skip 4096
page_directories:
  .skip 4096 * 4
  .globl ws_boot_stack_bottom, ws_boot_stack_top
ws_boot_stack_bottom:
  .skip WS_BOOT_STACK_BYTES
ws_boot_stack_top:

  .section .data
  .balign 16
  .globl ws_gdt, ws_gdt_end, ws_tss
ws_gdt:
  .quad 0
  .quad 0x00af9b000000ffff /* WS_CODE_SELECTOR: 64-bit code */
  .quad 0x00cf93000000ffff /* WS_DATA_SELECTOR: flat data */
gdt_tss:
  .quad 0, 0               /* WS_TSS_SELECTOR: filled in below */
ws_gdt_end:
gdt_pointer:
  .word ws_gdt_end - ws_gdt - 1
  .quad ws_gdt
  .balign 16
ws_tss: /* SDM 3A, 8.7: there because VMX wants a TR. No stack of it is used: the
         * image never leaves ring 0, and no gate has an IST. */
  .skip 102
  .word WS_TSS_BYTES /* no I/O bitmap */

  .section .text.boot, "ax"
  .code32
  .globl ws_start32
ws_start32: /* eax: the boot loader's magic; ebx: its information */
  cli
  cld
  mov $ws_boot_stack_top, %esp
  mov %eax, %ebp
  mov %ebx, %esi
  /* A flat image comes without its .bss. */
  mov $ws_bss_begin, %edi
  mov $ws_bss_end, %ecx
  sub %edi, %ecx
  shr $2, %ecx
  xor %eax, %eax
  rep stosl

  movl $pdpt + PTE_PRESENT_WRITABLE, pml4
  mov $page_directories + PTE_PRESENT_WRITABLE, %eax
  mov $pdpt, %edi
  mov $4, %ecx
1:
  mov %eax, (%edi)
  add $4096, %eax
  add $8, %edi
  dec %ecx
  jnz 1b
  mov $page_directories, %edi
  mov $PDE_LARGE, %eax
  mov $2048, %ecx
2:
  mov %eax, (%edi)
  add $0x200000, %eax
  add $8, %edi
  dec %ecx
  jnz 2b

  mov %cr4, %eax
  or $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
  mov %eax, %cr4
  mov $pml4, %eax
  mov %eax, %cr3
  mov $0x80000001, %eax
  cpuid
  mov $EFER_LME, %edi
  bt $20, %edx /* NX */
  jnc 3f
  or $EFER_NXE, %edi
3:
  mov $MSR_EFER, %ecx
  rdmsr
  or %edi, %eax
  wrmsr
  mov %cr0, %eax
  and $~(CR0_EM | CR0_CD | CR0_NW), %eax
  or $(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE), %eax
  mov %eax, %cr0
  lgdt gdt_pointer
  ljmp $WS_CODE_SELECTOR, $start64

  .code64
start64:
  mov $WS_DATA_SELECTOR, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  /* An available 64-bit TSS; the image lies below 4 GiB. */
  mov $ws_tss, %eax
  movw $WS_TSS_BYTES - 1, gdt_tss
  mov %ax, gdt_tss + 2
  shr $16, %eax
  mov %al, gdt_tss + 4
  movb $0x89, gdt_tss + 5
  mov %ah, gdt_tss + 7
  mov $WS_TSS_SELECTOR, %eax
  ltr %ax
  mov $ws_boot_stack_top, %esp
  mov %ebp, %edi
  mov %esi, %esi
  xor %ebp, %ebp
  call ws_main
4:
  cli
  hlt
  jmp 4b

/* One stub for each vector, 16 bytes apart: every frame has an error code. */
  .macro STUB vector
  .balign 16
  .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \
        \vector == 21 || \vector == 29 || \vector == 30)
  push $0
  .endif
  push $\vector
  jmp common_stub
  .endm

  .balign 16
  .globl ws_interrupt_stubs
ws_interrupt_stubs:
  .altmacro
  .set vector, 0
  .rept 256
  STUB %vector
  .set vector, vector + 1
  .endr
  .noaltmacro

/* InterruptFrame of native/interrupts.h. */
common_stub:
  push %rax
  push %rcx
  push %rdx
  push %rbx
  push %rbp
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, %rdi
  mov %rsp, %rbx
  and $-16, %rsp
  cld
  call ws_interrupt
  mov %rbx, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rbp
  pop %rbx
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq

  .section .note.GNU-stack, "", @progbits
