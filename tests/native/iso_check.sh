#!/usr/bin/env bash
# Boots the ISO as a real machine would, firmware and GRUB and all, once under
# QEMU and once under Bochs, and looks for its first rows on the serial line.
#
#   iso_check.sh BUILD_DIRECTORY
# Exit code: 0 both booted it, 1 one did not (and what came), 77 skipped (and
# why).
set -uo pipefail
# shellcheck source=native/bochs.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../native/bochs.sh"
build=$1
iso=$build/bin/worldswitch-native.iso
for program in grub-mkrescue xorriso mformat qemu-system-x86_64 bochs-bin; do
  if ! command -v "$program" >/dev/null; then
    echo "SKIP: $program is not installed (./dev install-deps)"
    exit 77
  fi
done
firmware=/usr/share/bochs
if [[ ! -r $firmware/BIOS-bochs-latest || ! -r $firmware/VGABIOS-lgpl-latest ]]; then
  echo "SKIP: $firmware has no BIOS and VGA BIOS (./dev install-deps)"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! cmake --build "$build" --target worldswitch-native-iso >"$work/made" 2>&1; then
  cat "$work/made"
  exit 1
fi

# boots NAME COMMAND...: whether $work/NAME/serial has measured rows within 40 s.
boots() {
  local name=$1 serial=$work/$1/serial pid
  shift
  timeout -s KILL 40 "$@" </dev/null >"$work/$name/screen" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null &&
    ! grep -qsE '^@(measured|done) ' "$serial"; do
    sleep 0.05
  done
  # The emulator is timeout's child.
  pkill -KILL -P "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  if grep -qs '^@worldswitch 1' "$serial" &&
    grep -qs '^@info backend ' "$serial" &&
    grep -qs '^@measured ' "$serial"; then
    echo "ok: $name"
    return 0
  fi
  echo "FAIL: $name; the serial line gave:"
  strings "$serial" | tail -n 20
  tail -n 5 "$work/$name/screen"
  return 1
}

code=0
mkdir "$work/bochs" "$work/qemu"
prepare_bochs "$work/bochs" corei7_haswell_4770 \
  "romimage: file=$firmware/BIOS-bochs-latest" \
  "vgaromimage: file=$firmware/VGABIOS-lgpl-latest" \
  "ata0-master: type=cdrom, path=$iso, status=inserted" \
  "boot: cdrom"
boots bochs "${bochs_command[@]}" || code=1
boots qemu qemu-system-x86_64 -cdrom "$iso" -accel tcg -cpu max -m 64 \
  -nodefaults -display none -serial "file:$work/qemu/serial" -no-reboot || code=1
exit "$code"
