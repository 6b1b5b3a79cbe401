// The two emulators: what each can be, and the command line with which it boots
// a kernel so that every instruction is counted and every boot is the same.

#ifndef WORLDSWITCH_LAB_EMULATOR_H_
#define WORLDSWITCH_LAB_EMULATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lab/subprocess.h"

namespace worldswitch {

// What a lab measures: a stock kernel's module, or the boot image's own ring 0.
enum class LabEngine { kKvmAmd, kKvmIntel, kSvmNative, kVmxNative };
enum class LabEmulator { kQemu, kBochs };

// "kvm_amd", "kvm_intel", "svm_native", "vmx_native".
const char* LabEngineName(LabEngine engine);
constexpr bool IsNative(LabEngine engine) {
  return engine == LabEngine::kSvmNative || engine == LabEngine::kVmxNative;
}
constexpr bool NeedsVmx(LabEngine engine) {
  return engine == LabEngine::kKvmIntel || engine == LabEngine::kVmxNative;
}
const char* LabEmulatorName(LabEmulator emulator);  // "qemu"

// What a lab runs on unless told otherwise: the fast one. QEMU emulates no VMX.
LabEmulator DefaultEmulator(LabEngine engine);
const char* DefaultCpuModel(LabEngine engine, LabEmulator emulator);

inline constexpr std::uint64_t kLabMemoryBytes = std::uint64_t{512} << 20;

// An emulator that is installed.
struct InstalledEmulator {
  LabEmulator kind = LabEmulator::kQemu;
  std::string version;                  // "QEMU 7.2.22", "Bochs 2.7"
  std::vector<std::string> cpu_models;  // as it lists them
};

// Asks the emulator. Unavailable: it is not installed, with its package;
// InvalidArgument: it has no such CPU model, with those it has; FailedPre-
// condition: no CPU of this emulator can do what the engine needs.
absl::StatusOr<InstalledEmulator> FindEmulator(LabEngine engine,
                                               LabEmulator emulator,
                                               const std::string& cpu_model,
                                               const StopFlag& stop);

struct BootOptions {
  LabEmulator emulator = LabEmulator::kQemu;
  std::string cpu_model;
  bool mitigations = false;
  std::string vmlinuz;    // a path
  std::string initramfs;  // a path
  std::string directory;  // for everything the boot leaves behind
};

// A boot that is ready to be started.
struct Boot {
  Subprocess::Options command;
  std::string console;  // the file that gets the kernel's console
  std::string channel;  // the file that gets /init's frames
};

// What the kernel is told. docs: Documentation/admin-guide/
// kernel-parameters.txt.
std::string KernelCommandLine(bool mitigations);

// Writes what the emulator needs into the directory; starts nothing.
absl::StatusOr<Boot> PrepareBoot(const BootOptions& options);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_EMULATOR_H_
