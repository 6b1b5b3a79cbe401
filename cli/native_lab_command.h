// `worldswitch lab svm_native|vmx_native`: boots worldswitch-native under an
// emulator and shows what it logged.

#ifndef WORLDSWITCH_CLI_NATIVE_LAB_COMMAND_H_
#define WORLDSWITCH_CLI_NATIVE_LAB_COMMAND_H_

#include <string>
#include <vector>

#include "lab/emulator.h"

namespace worldswitch {

struct NativeLabArguments {
  LabEngine engine = LabEngine::kSvmNative;
  std::string emulator = {};   // "qemu", "bochs"; "": the engine's default
  std::string cpu_model = {};  // "": the emulator's default
  std::string log = {};        // a file that keeps the serial log; may be ""
  int timeout = 600;           // seconds
  // "bench" with its options, or another command of the image.
  std::vector<std::string> command;
};

// Whether the glob matches a scenario that can run without KVM.
bool HasNativeScenario(const std::string& glob);

// The whole verb; says on standard error what goes wrong. Returns the exit
// code: of the image's verdict, or of the trouble.
int RunNativeLab(const NativeLabArguments& arguments);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_NATIVE_LAB_COMMAND_H_
