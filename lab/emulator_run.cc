#include "lab/emulator_run.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lab/growing_file.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(10);
// Between the guest's last word and the emulator's end.
constexpr std::chrono::milliseconds kGrace(2000);
constexpr int kConsoleLines = 15;
constexpr char kPanic[] = "Kernel panic";

class BootRun {
 public:
  BootRun(const Boot& boot, const RunLimits& limits, const StopFlag& stop,
          const std::function<void(const GuestFrame&)>& on_frame)
      : boot_(boot),
        limits_(limits),
        stop_(stop),
        on_frame_(on_frame),
        channel_(boot.channel),
        console_(boot.console) {}

  absl::Status Run() {
    absl::StatusOr<Subprocess> emulator = Subprocess::Start(boot_.command);
    if (!emulator.ok()) return emulator.status();
    const Clock::time_point start = Clock::now();
    for (;;) {
      const std::optional<int> ended = emulator->Wait(kLook);
      if (stop_.load() != 0) return absl::CancelledError("interrupted");
      if (absl::Status heard = Listen(); !heard.ok()) return heard;
      if (result_.has_value()) {
        if (!ended.has_value()) emulator->Wait(kGrace);
        return *result_;
      }
      ReadConsole();
      if (absl::StrContains(console_text_, kPanic)) {
        // The lines after the first one, which say where.
        emulator->Wait(kGrace / 10);
        return Trouble(absl::StatusCode::kAborted, "the lab's kernel panicked");
      }
      if (ended.has_value()) return EndedEarly(*ended);
      const auto taken = Clock::now() - start;
      if (!up_ && taken > limits_.boot) {
        return Trouble(absl::StatusCode::kDeadlineExceeded,
                       absl::StrCat("the lab's kernel did not come up within ",
                                    limits_.boot.count(), " s"));
      }
      if (taken > limits_.total) {
        return Trouble(
            absl::StatusCode::kDeadlineExceeded,
            absl::StrCat("the lab was not done within ", limits_.total.count(),
                         " s and was ended; --timeout gives it "
                         "longer"));
      }
    }
  }

 private:
  // Takes in all frames there are.
  absl::Status Listen() {
    for (std::string bytes = channel_.Read(); !bytes.empty();
         bytes = channel_.Read()) {
      frames_.Append(bytes.data(), bytes.size());
      GuestFrame frame;
      while (frames_.Next(&frame)) Take(frame);
      if (frames_.broken()) {
        return Trouble(absl::StatusCode::kDataLoss,
                       "what the lab sends back cannot be understood");
      }
    }
    return absl::OkStatus();
  }

  void Take(const GuestFrame& frame) {
    up_ = true;
    on_frame_(frame);
    if (frame.type == GuestFrameType::kExited ||
        frame.type == GuestFrameType::kSignalled) {
      result_ = absl::OkStatus();
    } else if (frame.type == GuestFrameType::kRefused) {
      result_ = Trouble(absl::StatusCode::kFailedPrecondition,
                        absl::StrCat("in the lab, ", frame.payload));
    }
  }

  void ReadConsole() {
    for (std::string bytes = console_.Read(); !bytes.empty();
         bytes = console_.Read()) {
      console_text_ += bytes;
    }
  }

  absl::Status EndedEarly(int code) {
    std::string what =
        absl::StrCat(boot_.command.arguments[0], " ended with exit code ", code,
                     up_ ? " before the lab's command was done"
                         : " before the kernel was up");
    absl::StrAppend(&what, FullDisk(boot_.console));
    absl::StatusOr<std::string> said = ReadWholeFile(boot_.command.output);
    if (said.ok()) {
      const std::string lines = LastLines(*said, kConsoleLines);
      if (!lines.empty()) absl::StrAppend(&what, "\nIt said last:\n", lines);
    }
    return Trouble(absl::StatusCode::kUnavailable, what);
  }

  absl::Status Trouble(absl::StatusCode code, const std::string& what) {
    ReadConsole();
    const std::string lines = LastLines(console_text_, kConsoleLines);
    return absl::Status(
        code, absl::StrCat(what,
                           lines.empty() ? "\nThe console shows nothing."
                                         : "\nThe console's last lines:\n",
                           lines));
  }

  const Boot& boot_;
  const RunLimits& limits_;
  const StopFlag& stop_;
  const std::function<void(const GuestFrame&)>& on_frame_;
  GrowingFile channel_;
  GrowingFile console_;
  GuestFrameReader frames_;
  std::string console_text_;
  bool up_ = false;
  std::optional<absl::Status> result_;
};

}  // namespace

absl::Status RunBoot(const Boot& boot, const RunLimits& limits,
                     const StopFlag& stop,
                     const std::function<void(const GuestFrame&)>& on_frame) {
  return BootRun(boot, limits, stop, on_frame).Run();
}

}  // namespace worldswitch
