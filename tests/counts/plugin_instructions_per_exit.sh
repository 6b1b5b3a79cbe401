#!/usr/bin/env bash
# Counts with callgrind what one exit costs in instructions of user space, of
# the built-in backend kvm and of the same one as a plugin: they may not differ.
#
#   SCRIPT BUILD_TYPE COUNT_PLUGIN KVM_PLUGIN
trial=kvm
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

need valgrind
need strip
# Valgrind gives up on debug information younger than itself. A folder of our
# own: root takes no plugin from where others may write.
strip -o "$work/stripped" "$program"
strip --strip-debug -o "$work/kvm_plugin.so" "$3"

instructions() {  # BACKEND EXITS
  local file=$work/out.$2
  rm -f "$file"*
  # The child that a plugin is tried in writes a file of its own.
  run valgrind --tool=callgrind "--callgrind-out-file=$file.%p" \
    "$work/stripped" "$1" "$2"
  cat "$file".* | awk '$1 == "totals:" && $2 > most {most = $2}
                       END {print most}'
}

declare -A total
for backend in kvm "$work/kvm_plugin.so"; do
  before=$(instructions "$backend" "$few")
  after=$(instructions "$backend" "$many")
  total[$backend]=$((after - before))
  awk -v backend="${backend##*/}" -v total="${total[$backend]}" \
    -v exits="$difference" \
    'BEGIN {printf "%-14s %6.2f instructions per exit\n",
            backend ":", total / exits}'
done

# A few instructions of a whole run differ (digits to read), which is nothing
# per exit.
more=$((total[$work/kvm_plugin.so] - total[kvm]))
echo "plugin - built in: $more instructions in $difference exits"
((2 * more < difference && 2 * more > -difference)) ||
  fail "an exit through the plugin does not cost what it costs built in"
exit "$failed"
