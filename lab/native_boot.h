// One boot of the image worldswitch-native under an emulator that counts
// instructions: writes what the emulator needs, watches the serial log, keeps
// to the time limit, and ends the emulator on every way out.

#ifndef WORLDSWITCH_LAB_NATIVE_BOOT_H_
#define WORLDSWITCH_LAB_NATIVE_BOOT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/host/backend.h"
#include "lab/emulator.h"
#include "lab/subprocess.h"

namespace worldswitch {

inline constexpr std::uint64_t kNativeMemoryBytes = std::uint64_t{64} << 20;

// The image's command line of `words`, as native/command_line.h has it.
// InvalidArgument: a word that does not fit there.
absl::StatusOr<std::string> NativeCommandLine(
    const std::vector<std::string>& words);

struct NativeBootOptions {
  LabEmulator emulator = LabEmulator::kQemu;
  std::string cpu_model;
  std::string command_line;
  std::chrono::seconds limit{600};
};

// Boots, and gives the whole serial log once it is complete. on_text is called
// for what comes, as it comes; may be empty. Errors end with the log's last
// lines: DeadlineExceeded, Unavailable (the emulator ended early); Cancelled:
// *stop was set. *log is what came until then.
absl::Status RunNativeBoot(
    const NativeBootOptions& options, const StopFlag& stop,
    const std::function<void(const std::string& text)>& on_text,
    std::string* log);

// The log with the lab as facts of it, "@info lab.NAME VALUE", behind its first
// line: so whoever reads it later knows what its ticks are.
std::string WithLabFacts(const std::string& log,
                         const std::vector<Fact>& facts);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_NATIVE_BOOT_H_
