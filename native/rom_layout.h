/* The ROM that boots the image without any firmware, under an emulator: where
 * its parts lie, counted from its first byte. It is mapped to the end of the
 * first 4 GiB, and who makes an emulator boot it writes the command line into a
 * copy of the file. */

#ifndef WORLDSWITCH_NATIVE_ROM_LAYOUT_H_
#define WORLDSWITCH_NATIVE_ROM_LAYOUT_H_

#define WS_ROM_BYTES 0x80000
#define WS_ROM_IMAGE 0x0            /* the flat image */
#define WS_ROM_COMMAND_LINE 0x7e000 /* ASCII, ends with a zero byte */
#define WS_ROM_COMMAND_LINE_BYTES 0x1000
#define WS_ROM_STUB 0x7f000

/* Where the image is copied to, and its size without .bss at most. */
#define WS_IMAGE_BASE 0x100000
#define WS_IMAGE_MAX_BYTES 0x40000

/* Where the ROM leaves the multiboot information, and the name of the boot
 * loader in it: below 1 MiB, which the image does not use otherwise. */
#define WS_ROM_INFORMATION 0x8000
#define WS_ROM_LOADER_NAME "worldswitch-rom"

#endif /* WORLDSWITCH_NATIVE_ROM_LAYOUT_H_ */
