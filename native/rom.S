/* Boots the image under an emulator, in place of firmware: from the reset
 * vector to 32-bit protected mode, copies the image to where it is linked, and
 * enters it as a multiboot loader would, with the memory's size (as the CMOS of
 * a PC has it) and the command line that lies in the ROM.
 *
 * WS_ENTRY: the image's entry point; WS_IMAGE_FILE: its bytes. */

#include "native/rom_layout.h"

#define ROM_BASE (0x100000000 - WS_ROM_BYTES)
#define PORT_A20 0x92
#define PORT_CMOS_INDEX 0x70
#define PORT_CMOS_DATA 0x71
#define CMOS_NMI_OFF 0x80
#define CMOS_64K_ABOVE_16M_LOW 0x34
#define CMOS_64K_ABOVE_16M_HIGH 0x35
#define KIB_1M_TO_16M (15 * 1024)
#define LOADED_BY_MULTIBOOT 0x2badb002
/* Memory sizes, command line, loader's name are there. */
#define INFORMATION_FLAGS (0x1 | 0x4 | 0x200)

  .section .rom, "ax"
rom:
image:
  .incbin WS_IMAGE_FILE
image_end:
  .org WS_ROM_COMMAND_LINE
command_line:
  .byte 0

  .org WS_ROM_STUB
  .code16
stub:
  cli
  cld
  mov $PORT_A20, %dx
  in (%dx), %al
  or $2, %al
  and $0xfe, %al /* bit 0 would reset the machine */
  out %al, (%dx)
  lgdtl %cs:(gdt_pointer - rom - (WS_ROM_BYTES - 0x10000))
  mov %cr0, %eax
  or $1, %al
  and $0x9fffffff, %eax /* caches on */
  mov %eax, %cr0
  ljmpl $8, $(ROM_BASE + protected_mode - rom)

  .code32
protected_mode:
  mov $16, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $(ROM_BASE + image - rom), %esi
  mov $WS_IMAGE_BASE, %edi
  mov $((image_end - image + 3) / 4), %ecx
  rep movsl
  /* The information: zeros, then what there is. */
  mov $WS_ROM_INFORMATION, %ebx
  mov %ebx, %edi
  mov $32, %ecx
  xor %eax, %eax
  rep stosl
  movl $INFORMATION_FLAGS, (%ebx)
  movl $640, 4(%ebx)
  mov $(CMOS_NMI_OFF | CMOS_64K_ABOVE_16M_HIGH), %al
  out %al, $PORT_CMOS_INDEX
  in $PORT_CMOS_DATA, %al
  movzbl %al, %ecx
  shl $8, %ecx
  mov $(CMOS_NMI_OFF | CMOS_64K_ABOVE_16M_LOW), %al
  out %al, $PORT_CMOS_INDEX
  in $PORT_CMOS_DATA, %al
  mov %al, %cl
  shl $6, %ecx
  add $KIB_1M_TO_16M, %ecx
  mov %ecx, 8(%ebx)
  movl $(ROM_BASE + command_line - rom), 16(%ebx)
  movl $(ROM_BASE + loader_name - rom), 64(%ebx)
  mov $LOADED_BY_MULTIBOOT, %eax
  mov $WS_ENTRY, %ecx
  jmp *%ecx

  .balign 8
gdt:
  .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
  .word gdt_pointer - gdt - 1
  .long ROM_BASE + gdt - rom
loader_name:
  .asciz WS_ROM_LOADER_NAME

  .org WS_ROM_BYTES - 16
  .code16
  jmp stub
  .org WS_ROM_BYTES
  .section .note.GNU-stack, "", @progbits
