#!/usr/bin/env bash
# Makes IMAGE.rom from IMAGE.elf64 and IMAGE.bin (rom.S).
#
#   make_rom.sh CC NM OBJCOPY ROOT IMAGE
set -euo pipefail
cc=$1 nm=$2 objcopy=$3 root=$4 image=$5
entry=$("$nm" "$image.elf64" | awk '$3 == "ws_start32" { print "0x" $1 }')
"$cc" -c -I"$root" -DWS_ENTRY="$entry" -DWS_IMAGE_FILE="\"$image.bin\"" \
  "$root/native/rom.S" -o "$image.rom.o"
"$objcopy" -O binary -j .rom "$image.rom.o" "$image.rom"
rm "$image.rom.o"
