# shellcheck shell=bash
# How Bochs runs the boot image, for the scripts that source this; `worldswitch
# lab` does the same by lab/native_boot.cc.

# prepare_bochs DIRECTORY MODEL LINE...: configures Bochs there, with the LINEs
# that say from what it boots, and sets the array bochs_command. The serial line
# goes to DIRECTORY/serial, Bochs's own log to DIRECTORY/log.
prepare_bochs() {
  local directory=$1 model=$2
  shift 2
  # So few instructions a second make the UART's pace cost few instructions; the
  # TSC and the APIC's timer count instructions whatever it says.
  {
    printf '%s\n' "$@"
    cat <<END
display_library: term
cpu: model=$model, count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=64, host=64
com1: enabled=1, mode=file, dev=$directory/serial
log: $directory/log
panic: action=report, cpu0=report
error: action=ignore
info: action=ignore
debug: action=ignore
clock: sync=none, time0=1700000000
sound: driver=dummy
speaker: enabled=0
END
  } >"$directory/bochsrc"
  # Every panic that is reported stops a debugger build once.
  yes c | head -n 100000 >"$directory/commands"
  # Its text display wants a terminal's name; the terminal is a file.
  # shellcheck disable=SC2034
  bochs_command=(env TERM=xterm bochs-bin -q -f "$directory/bochsrc"
    -rc "$directory/commands")
}
