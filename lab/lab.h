// A lab: an emulated host that runs one command on a stock kernel's kvm_amd or
// kvm_intel and counts instructions exactly. RunLab boots it, passes on what
// the command prints as it prints it, and brings back its exit code and the
// files it wrote.

#ifndef WORLDSWITCH_LAB_LAB_H_
#define WORLDSWITCH_LAB_LAB_H_

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/host/lab_environment.h"
#include "lab/emulator.h"
#include "lab/emulator_run.h"
#include "lab/kernel_package.h"
#include "lab/subprocess.h"

namespace worldswitch {

struct LabOptions {
  LabEngine engine = LabEngine::kKvmAmd;
  InstalledEmulator emulator;
  std::string cpu_model;
  KernelFiles kernel;
  std::vector<std::string> module_parameters;  // "kvm_amd.npt=0"
  bool mitigations = false;
  RunLimits limits;
  std::string program;                 // a path on the host
  std::vector<std::string> arguments;  // [0] is the program's name
  std::string directory;               // to run it in, of the host
  // Absolute paths that the command is known to write and not to read: what is
  // there does not go in, so that every run of a command begins alike.
  std::vector<std::string> outputs;
  std::string date;  // RFC 3339, for its results
};

// The lab as its own results name it: "emulator", "cpu_model", "kernel", ...
LabEnvironment DescribeLab(const LabOptions& options);

struct LabListener {
  std::function<void(const std::string& text)> output;
  std::function<void(const std::string& text)> error;
  // The kernel is up, on a CPU with these features.
  std::function<void(const PathFeatures& features)> up;
};

struct LabOutcome {
  int exit_code = 0;  // of the command; 128 + n where signal n ended it
  // Files that the command's arguments name and that it made or changed, by
  // their absolute path.
  std::map<std::string, std::string> files;
};

// Paths that arguments name: each argument itself, and what follows an '=' or
// ':' in one ("--json=FILE", "--gtest_output=xml:FILE"), to its end or to a ','
// or ';', made absolute. Only those whose directory exists on the host. And
// what stands before a ':', where that is a file ("plugin.so:file=FILE").
std::vector<std::string> NamedFiles(const std::vector<std::string>& arguments,
                                    const std::string& directory);

// Errors: those of RunBoot; InvalidArgument: a module parameter that there is
// not; what cannot be read or written.
absl::StatusOr<LabOutcome> RunLab(const LabOptions& options,
                                  const LabListener& listener,
                                  const StopFlag& stop);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_LAB_H_
