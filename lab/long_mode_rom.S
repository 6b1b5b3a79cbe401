// What Bochs starts in place of a BIOS: the last 64 KiB below 4 GiB, which take
// the CPU from reset to long mode and jump into a kernel that already lies in
// RAM (lab/memory_image.h). Assembled into read-only data; the host patches the
// three words of ws_lab_rom_parameters.
//
// Before anything else it touches RAM once every 128 KiB, upwards: Bochs gives
// guest RAM its backing in blocks of that size in the order of first touch, and
// its file of RAM contents is read straight into that backing.
//
// On the kernel's side: Documentation/x86/boot.rst, "64-bit BOOT PROTOCOL":
// paging on with an identity map, CS 10h and DS 18h, RSI at boot_params.

  .section .rodata.ws_lab_rom, "a"
  .balign 16
  .globl ws_lab_rom
ws_lab_rom:

// Where the ROM lies, and the page tables: below the first 640 KiB's end, in
// RAM that the kernel does not look at until it has tables of its own.
  .set ROM_BASE, 0xffff0000
  .set PML4, 0x10000
  .set PDPT, 0x11000
  .set PD, 0x12000
  .set PD_COUNT, 4                // of 1 GiB each
  .set TOUCH_STEP, 0x20000
  .set PRESENT_WRITABLE, 0x3
  .set LARGE_PAGE, 0x83           // present, writable, 2 MiB
  .set CR4_PAE, 0x20
  .set CR0_PG_ET_PE, 0x80000011
  .set MSR_EFER, 0xc0000080
  .set EFER_LME, 0x100
  .set CODE64, 0x10
  .set DATA, 0x18
  .set CODE32, 0x20

  .org 0xf000
  .globl ws_lab_rom_parameters
ws_lab_rom_parameters:
touch_end:
  .long 0                         // bytes of RAM to touch
kernel_entry:
  .long 0                         // physical
boot_params:
  .long 0                         // physical

  .balign 8
gdt:
  .quad 0
  .quad 0
  .quad 0x00af9b000000ffff        // CODE64
  .quad 0x00cf93000000ffff        // DATA
  .quad 0x00cf9b000000ffff        // CODE32
gdt_pointer:
  .word . - gdt - 1
  .long ROM_BASE + (gdt - ws_lab_rom)

  .code16
start16:
  cli
  cld
  lgdtl %cs:(gdt_pointer - ws_lab_rom)
  mov %cr0, %eax
  and $0x9fffffff, %eax           // caches on: CD and NW off
  or $1, %al
  mov %eax, %cr0
  ljmpl $CODE32, $(ROM_BASE + (start32 - ws_lab_rom))

  .code32
start32:
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov %eax, %fs
  mov %eax, %gs

  inb $0x92, %al                  // A20, by the fast gate; bit 0 would reset
  or $2, %al
  and $0xfe, %al
  outb %al, $0x92

  xor %esi, %esi
  mov ROM_BASE + (touch_end - ws_lab_rom), %edi
1:
  mov (%esi), %al
  add $TOUCH_STEP, %esi
  cmp %edi, %esi
  jb 1b

  // Four gigabytes, identically.
  mov $PML4, %edi
  xor %eax, %eax
  mov $((2 + PD_COUNT) * 4096 / 4), %ecx
  rep stosl
  movl $(PDPT + PRESENT_WRITABLE), PML4
  mov $PDPT, %edi
  mov $(PD + PRESENT_WRITABLE), %eax
  mov $PD_COUNT, %ecx
2:
  mov %eax, (%edi)
  add $4096, %eax
  add $8, %edi
  loop 2b
  mov $PD, %edi
  mov $LARGE_PAGE, %eax
  mov $(PD_COUNT * 512), %ecx
3:
  mov %eax, (%edi)
  add $0x200000, %eax
  add $8, %edi
  loop 3b

  mov $CR4_PAE, %eax
  mov %eax, %cr4
  mov $PML4, %eax
  mov %eax, %cr3
  mov $MSR_EFER, %ecx
  xor %edx, %edx
  mov $EFER_LME, %eax
  wrmsr
  mov $CR0_PG_ET_PE, %eax
  mov %eax, %cr0
  ljmpl $CODE64, $(ROM_BASE + (start64 - ws_lab_rom))

  .code64
start64:
  mov $(ROM_BASE + (kernel_entry - ws_lab_rom)), %ebx
  mov (%rbx), %eax
  mov 4(%rbx), %esi
  xor %ebp, %ebp
  jmp *%rax

// Reset: CS base FFFF0000h, IP FFF0h.
  .org 0xfff0
  .code16
  ljmp $0xf000, $(start16 - ws_lab_rom)
  .org 0x10000
  .globl ws_lab_rom_end
ws_lab_rom_end:

  .code64
  .section .note.GNU-stack, "", @progbits
