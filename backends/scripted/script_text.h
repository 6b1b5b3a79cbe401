// Scripts as text: one step a line, "#" starts a comment, numbers are decimal
// or 0x, bytes are pairs of hex digits, lowest address first.
//
//   interrupts on               # or: interrupts off, shadow on|off, nmis
//   on|off out port=0x3f8 size=1 data=6869 in port=0x60 size=1 expect=1c hlt
//
// Exits, and what each takes beside the common keys below:
//   out port= size= data=                  more data: more elements (OUTS)
//   in port= size= [count=] [expect=]
//   mmio_read gpa= size= [expect=]         mmio_write gpa= data=
//   rdmsr index= [expect=] [expect_gp=1]   wrmsr index= value= [expect_gp=1]
//   hypercall number= [arguments=1,2] [expect=]
//   hlt                                    unknown raw=
//   exit reason=Shutdown [errno=]          any reason without data of its own,
//                                          by its name in ExitReasonName
// Common keys: raw=, times=, length=, qualification=, info1=, info2=,
// undelivered=1. For rdmsr and hypercall, expect= is a number.
//
// The guest runs until it is kicked: spin
// Changes: interrupts, shadow and nmis on|off, register name= value=,
// injection result=ok|blocked|busy|unsupported|error [errno=], commit errno=.

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_TEXT_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/scripted/script.h"

namespace worldswitch {

// InvalidArgument: names the line and what would be right there.
absl::StatusOr<Script> ParseScript(absl::string_view text);

// The same from a file; the errors name it.
absl::StatusOr<Script> ReadScript(const std::string& path);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_TEXT_H_
