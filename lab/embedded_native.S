// The boot image as bytes: for QEMU the ELF file, for Bochs the ROM that boots
// it without firmware.

  .section .rodata.ws_native_image, "a"
  .balign 16
  .globl ws_native_elf
ws_native_elf:
  .incbin WS_NATIVE_ELF
  .globl ws_native_elf_end
ws_native_elf_end:
  .byte 0
  .balign 16
  .globl ws_native_rom
ws_native_rom:
  .incbin WS_NATIVE_ROM
  .globl ws_native_rom_end
ws_native_rom_end:
  .byte 0

  .section .note.GNU-stack, "", @progbits
