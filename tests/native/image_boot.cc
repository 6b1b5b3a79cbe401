#include "tests/native/image_boot.h"

#include <chrono>

#include "gtest/gtest.h"
#include "lab/native_boot.h"

namespace worldswitch {
namespace {

constexpr std::chrono::seconds kLimit(120);

}  // namespace

std::string WhyNot(const Machine& machine) {
  const StopFlag stop = 0;
  const absl::Status found =
      FindEmulator(machine.engine, machine.emulator, machine.cpu_model, stop)
          .status();
  return found.ok() ? "" : std::string(found.message());
}

std::string BootImage(const Machine& machine,
                      const std::vector<std::string>& words) {
  const absl::StatusOr<std::string> line = NativeCommandLine(words);
  if (!line.ok()) {
    ADD_FAILURE() << line.status();
    return "";
  }
  NativeBootOptions options;
  options.emulator = machine.emulator;
  options.cpu_model = machine.cpu_model;
  options.command_line = *line;
  options.limit = kLimit;
  const StopFlag stop = 0;
  std::string log;
  const absl::Status booted = RunNativeBoot(options, stop, nullptr, &log);
  if (booted.ok()) return log;
  ADD_FAILURE() << machine.name << ": " << booted;
  return "";
}

NativeLog ParsedLog(const std::string& text) {
  NativeLog log;
  const absl::Status read = ReadNativeLog(text, &log);
  EXPECT_TRUE(read.ok()) << read << "\n" << text;
  return log;
}

}  // namespace worldswitch
