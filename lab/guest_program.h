// Puts a program of the host into an initramfs: itself without its debugging
// information, and every shared library that ldd names, where the loader will
// look for them.

#ifndef WORLDSWITCH_LAB_GUEST_PROGRAM_H_
#define WORLDSWITCH_LAB_GUEST_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "lab/initramfs.h"
#include "lab/subprocess.h"

namespace worldswitch {

// The paths in ldd's output. NotFound: a library that ldd could not find.
absl::StatusOr<std::vector<std::string>> ParseLdd(absl::string_view text);

// program: a path on the host. guest_path: where it goes. scratch: a directory
// for the copy without debugging information.
absl::Status AddGuestProgram(const std::string& program,
                             const std::string& guest_path,
                             const std::string& scratch, const StopFlag& stop,
                             Initramfs* initramfs);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_GUEST_PROGRAM_H_
