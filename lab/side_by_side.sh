#!/usr/bin/env bash
# The table of README.md that sets what KVM adds beside the switch itself: runs
# the labs it compares, in pairs of one emulator and CPU model, and prints it.
# Takes some minutes; a stock kernel is fetched on first use.
#
#   side_by_side.sh BIN_DIRECTORY [RESULTS]     e.g. build/release/bin
#   RESULTS: a directory that keeps the results; what is there is not measured
#   again.
set -euo pipefail
bin=$1
if [[ $# -gt 1 ]]; then
  work=$2
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

# bench ENGINE EMULATOR WHAT: into a file, whose name is printed.
bench() {
  local engine=$1 emulator=$2 what=$3 scenarios
  local file="$work/$engine-$emulator.json"
  echo "$file"
  [[ ! -f $file ]] || return 0
  mapfile -t scenarios < <("$bin/exit_path_table" --scenarios "$what")
  # shellcheck disable=SC2068 # an option and its value stand on one line
  "$bin/worldswitch" lab "$engine" --emulator "$emulator" -- bench \
    ${scenarios[@]} --mode ring0 --samples 100 --repetitions 1 \
    --json "$file" >/dev/null
}

files=()
for pair in "kvm_amd svm_native qemu" "kvm_intel vmx_native bochs" \
  "kvm_amd svm_native bochs"; do
  read -r kvm native emulator <<<"$pair"
  files+=("$(bench "$kvm" "$emulator" kvm)")
  files+=("$(bench "$native" "$emulator" native)")
done
"$bin/exit_path_table" --side-by-side "${files[@]}"
