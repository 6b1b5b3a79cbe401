// The same exits through KVM and in ring 0, in the same emulator, side by side:
// what the switch takes, what KVM in the kernel adds, what the way to user
// space adds. The table of README.md.

#ifndef WORLDSWITCH_LAB_SIDE_BY_SIDE_H_
#define WORLDSWITCH_LAB_SIDE_BY_SIDE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace worldswitch {

// One exit, by the scenarios that take it, all in ring 0 of the guest.
struct ComparedExit {
  const char* name;    // "CPUID"
  const char* native;  // of the boot image
  const char* kernel;  // KVM deals with it; "": no such scenario
  const char* user;    // KVM hands it to its caller; "": no such scenario
};
const std::vector<ComparedExit>& ComparedExits();

// results: of `bench --json` in labs, in pairs: through KVM, then natively; a
// pair of one emulator and CPU model. Markdown: the pairs, then a row for each
// exit that any of them has, with three columns a pair, of net instructions:
//   switch   the native round trip: exit, loop, caller, entry
//   kernel   what KVM takes beyond that where it deals with the exit itself
//   user     what its way to user space and back takes beyond that; where KVM
//            has no such exit in the kernel, both together, marked by a '+'
// A figure needs proven rows. InvalidArgument: a result that does not count
// instructions, is of the wrong kind, or not of its partner's emulator and CPU.
absl::StatusOr<std::string> SideBySide(const std::vector<std::string>& results);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_SIDE_BY_SIDE_H_
