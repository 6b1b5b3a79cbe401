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
  std::string directory;  // for everything the boot leaves behind
};

// A boot that is ready to be started.
struct NativeBoot {
  Subprocess::Options command;
  std::string serial;  // the file that gets the log
};

// Writes what the emulator needs into the directory; starts nothing.
absl::StatusOr<NativeBoot> PrepareNativeBoot(const NativeBootOptions& options);

// Boots, until the log is complete: then ok. *log is what came, in every case;
// on_text is called for it as it comes, and may be empty. Errors end with the
// log's last lines: DeadlineExceeded (`limit` is over), Unavailable (the
// emulator ended early); Cancelled: *stop was set.
absl::Status RunNativeBoot(
    const NativeBoot& boot, std::chrono::seconds limit, const StopFlag& stop,
    const std::function<void(const std::string& text)>& on_text,
    std::string* log);

// The log with the lab as facts of it, "@info lab.NAME VALUE", behind its first
// line: so whoever reads it later knows what its ticks are.
std::string WithLabFacts(const std::string& log,
                         const std::vector<Fact>& facts);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_NATIVE_BOOT_H_
