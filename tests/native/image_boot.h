// The boot image under an emulator, for tests.

#ifndef WORLDSWITCH_TESTS_NATIVE_IMAGE_BOOT_H_
#define WORLDSWITCH_TESTS_NATIVE_IMAGE_BOOT_H_

#include <string>
#include <vector>

#include "bench/native_log.h"
#include "lab/emulator.h"

namespace worldswitch {

// An emulated CPU that has VT-x or SVM.
struct Machine {
  const char* name;  // of the test: "SvmQemu"
  LabEngine engine;
  LabEmulator emulator;
  const char* cpu_model;
};
inline constexpr Machine kSvmQemu = {"SvmQemu", LabEngine::kSvmNative,
                                     LabEmulator::kQemu, "max"};
inline constexpr Machine kSvmBochs = {"SvmBochs", LabEngine::kSvmNative,
                                      LabEmulator::kBochs, "ryzen"};
inline constexpr Machine kVmxBochs = {"VmxBochs", LabEngine::kVmxNative,
                                      LabEmulator::kBochs,
                                      "corei7_haswell_4770"};

// "": the machine is there. Else why it is not, for GTEST_SKIP.
std::string WhyNot(const Machine& machine);

// The serial log of one boot; "" after a test failure. words: the command line.
std::string BootImage(const Machine& machine,
                      const std::vector<std::string>& words);

// A log that has to be whole.
NativeLog ParsedLog(const std::string& text);

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_NATIVE_IMAGE_BOOT_H_
