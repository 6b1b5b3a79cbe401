// The image's command line: what to do, and how. Freestanding.
//
//   [FILE] COMMAND... [OPTION]...
//
//   bench        scenarios                 --scenario GLOB (repeats), --mode M,
//                                          --samples N, --repetitions R,
//                                          --virtual or --final
//   path         the loop's own path, counted
//   conformance  the contract's clauses    --clause GLOB, --mode M
//   failures     refused entries and refused pages, provoked
//   random       random guests             --runs N, --seed S
//   report       what the CPU can do, what was refused
//   exception    an exception of the image's own, to see it reported
//
// All but report take --knob NAME=VALUE (repeats). Several commands are done in
// the order of this list.

#ifndef WORLDSWITCH_NATIVE_COMMAND_LINE_H_
#define WORLDSWITCH_NATIVE_COMMAND_LINE_H_

#include <cstddef>
#include <cstdint>

#include "guests/guests.h"
#include "native/text.h"

namespace worldswitch::native {

struct TextList {
  static constexpr std::size_t kMost = 64;

  TextView items[kMost];
  std::size_t size = 0;
};

struct Options {
  bool bench = false;
  bool path = false;
  bool conformance = false;
  bool failures = false;
  bool random = false;
  bool report = false;
  bool exception = false;

  TextList scenarios;  // none: all that make sense here
  TextList clauses;    // none: all
  TextList knobs;
  bool has_mode = false;
  GuestMode mode = GuestMode::kReal;
  bool final_loop = false;
  std::uint32_t samples = 100;
  std::uint32_t repetitions = 1;
  std::uint64_t runs = 1000;
  std::uint64_t seed = 1;
};

// What a wrong command line is told; word may be empty.
struct UsageError {
  TextView word;
  const char* what = nullptr;
};

// line: stays where it is, as the options point into it. False: *error.
bool ParseCommandLine(const char* line, Options* options, UsageError* error);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_COMMAND_LINE_H_
