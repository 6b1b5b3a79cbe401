#include "tests/native/image_boot.h"

#include <chrono>

#include "gtest/gtest.h"
#include "lab/native_boot.h"
#include "lab/temporary_directory.h"

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
  absl::StatusOr<TemporaryDirectory> work = TemporaryDirectory::Make();
  if (!work.ok()) {
    ADD_FAILURE() << work.status();
    return "";
  }
  absl::StatusOr<NativeBoot> boot =
      PrepareNativeBoot({.emulator = machine.emulator,
                         .cpu_model = machine.cpu_model,
                         .command_line = *line,
                         .directory = work->path()});
  if (!boot.ok()) {
    ADD_FAILURE() << boot.status();
    return "";
  }
  const StopFlag stop = 0;
  std::string log;
  const absl::Status booted = RunNativeBoot(*boot, kLimit, stop, nullptr, &log);
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
