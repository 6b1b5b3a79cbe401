// The lab's /init as bytes: whoever links this needs no file beside itself.

  .section .rodata.ws_lab_init, "a"
  .balign 16
  .globl ws_lab_init
ws_lab_init:
  .incbin WS_LAB_INIT
  .globl ws_lab_init_end
ws_lab_init_end:
  .byte 0

  .section .note.GNU-stack, "", @progbits
