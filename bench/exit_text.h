// An exit in words, for people.

#ifndef WORLDSWITCH_BENCH_EXIT_TEXT_H_
#define WORLDSWITCH_BENCH_EXIT_TEXT_H_

#include <string>

#include "core/exit.h"
#include "core/host/backend.h"

namespace worldswitch {

// "Io: OUT of 1 byte to port 0xe0", "Unknown: raw code 77". The engine's own
// numbers are given where it has a say.
std::string DescribeExit(const Exit& exit);

// The same, and what the backend of `vm` knows beside it (Vm::Explain).
std::string DescribeExit(const Exit& exit, const Vm& vm);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_EXIT_TEXT_H_
