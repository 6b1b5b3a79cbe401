#!/usr/bin/env bash
# Does what a page of docs/ tells its reader to do, in an empty home.
#
#   run_page.sh PAGE SOURCE_ROOT BUILD_DIRECTORY
#
# Fenced blocks of the page, by their info string:
#   ```sh            commands, each block a piece of one shell's script
#   ```sh fails      the same; the last command has to end with exit code 1
#   ```LANG FILE     becomes FILE, in the shell's folder at that place
# Others are for reading. Exit code: 0 all went well, 77 skipped (and why).
set -euo pipefail
page=$1 root=$2 build=$3

if [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
  echo "SKIP: the page measures with /dev/kvm, which cannot be opened here"
  exit 77
fi

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# The page says build/release for where the build is.
awk -v build="$build" '
  function quoted(text) {
    gsub(/\047/, "\047\\\047\047", text)
    return "\047" text "\047"
  }
  !inside && /^```[a-z]/ {
    inside = 1
    language = substr($1, 4)
    file = $2
    is_shell = language == "sh"
    fails = is_shell && $2 == "fails"
    if (is_shell && fails) print "if ("
    if (!is_shell && file != "") print "cat > " quoted(file) " <<\047WS_END_OF_FILE\047"
    next
  }
  inside && /^```/ {
    inside = 0
    if (is_shell && fails) {
      print "); then echo \"FAIL: passed, and was to fail\"; exit 1"
      print "elif (($? != 1)); then echo \"FAIL: exit code $?\"; exit 1; fi"
    }
    if (!is_shell && file != "") print "WS_END_OF_FILE"
    next
  }
  inside && is_shell {
    gsub(/build\/release/, quoted(build))
    print
  }
  inside && !is_shell && file != "" { print }
' "$page" >"$home/script"
grep -q '^worldswitch' "$home/script" || {
  echo "FAIL: $page has no commands"
  exit 1
}
cd "$root"
env -u WORLDSWITCH_BACKEND_PATH HOME="$home" bash -euxo pipefail "$home/script"
echo "the page's commands work"
