#!/usr/bin/env bash
# Installs the build into a folder of its own, and builds there, from what is
# installed alone: the plugin of examples/recorder_plugin with g++ and with
# clang++, and a program that embeds the library. Then the installed command
# takes the plugin, and what it records replays event for event.
#
#   outside_projects.sh SOURCE_FOLDER BUILD_FOLDER REPLAY_TEST
set -euo pipefail
source=$1 build=$2 replay_test=$3

command -v ninja >/dev/null || { echo "SKIP: ninja is not installed"; exit 77; }
# Root takes no plugin from where others may write.
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
  echo "FAIL: $*"
  exit 1
}

# Runs "$@" quietly; shows what it said if it fails.
run() {
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    fail "exit code $? from: $*"
  }
}

expect() {  # WHAT TEXT: the output of the last run has the text
  grep -qF -- "$2" "$work/log" || {
    cat "$work/log"
    fail "$1: expected \"$2\""
  }
}

run cmake --install "$build" --prefix "$prefix"
worldswitch=$prefix/bin/worldswitch
run "$worldswitch" backends
expect "the installed command" "scripted: usable; built in"

# Not one file of the tree, only copies, so that nothing is found beside them.
cp -r "$source/examples/recorder_plugin" "$work/plugin"
mkdir "$work/program"
cp "$source/examples/count_exits.cc" "$work/program"
cat >"$work/program/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(program LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(worldswitch 0.1 REQUIRED COMPONENTS host)
add_executable(count_exits count_exits.cc)
target_link_libraries(count_exits PRIVATE
  worldswitch::backend_kvm worldswitch::guests)
END

outside() {  # FOLDER COMPILER: builds it in FOLDER-COMPILER
  run cmake -G Ninja -S "$work/$1" -B "$work/$1-$2" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_COMPILER="$2" -DCMAKE_PREFIX_PATH="$prefix"
  run cmake --build "$work/$1-$2"
}

compilers=0
for compiler in g++ clang++; do
  if ! command -v "$compiler" >/dev/null; then
    echo "without $compiler: it is not installed"
    continue
  fi
  compilers=$((compilers + 1))
  outside plugin "$compiler"
  plugin=$work/plugin-$compiler/recorder.so
  [[ $(nm -D --defined-only "$plugin" | awk '{print $NF}') == \
    worldswitch_backend_plugin ]] || fail "$plugin exports more than its entry"
  WORLDSWITCH_BACKEND_PATH=${plugin%/*} run "$worldswitch" backends
  expect "the plugin of $compiler" "recorder: usable; $plugin"
  # Every test of it, with this plugin; those on KVM skip where there is none.
  WORLDSWITCH_TEST_RECORDER=$plugin run "$replay_test"
  expect "replay" "[  PASSED  ]"
  echo "$compiler: $(grep -F '[  PASSED  ]' "$work/log")"
done
((compilers > 0)) || fail "there is no compiler"

# Installed, it is found without being told where.
run cmake --install "$work/plugin-g++"
run "$worldswitch" backends
expect "the installed plugin" \
  "recorder: usable; $prefix/lib/worldswitch/backends/recorder.so"

outside program g++
if [[ -w /dev/kvm ]]; then
  run "$work/program-g++/count_exits"
  expect "the program" "1000 exits on "
fi
