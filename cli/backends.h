// The backends that this program is built with, and the plugins it finds.

#ifndef WORLDSWITCH_CLI_BACKENDS_H_
#define WORLDSWITCH_CLI_BACKENDS_H_

#include <memory>
#include <string>

#include "core/host/backend.h"

namespace worldswitch {

const BackendRegistry& Backends();

// The exit code for a failure to open or find a backend by "--backend" text:
// trouble with the words is the user's, the rest is the host's.
int ExitCodeOfBackend(const absl::Status& status, const std::string& text);

// Opens a backend by "--backend" text. On trouble says why on standard error
// and gives null, with the exit code in *exit_code. For "auto" it tells what
// was skipped and what was taken, and why.
std::unique_ptr<Backend> OpenBackend(const std::string& text, int* exit_code);

// What an engine's figures stand for: "VT-x", "SVM", "neither VT-x nor SVM".
std::string EngineMeaning(const std::string& engine);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_BACKENDS_H_
