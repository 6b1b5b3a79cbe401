#include "cli/progress.h"

#include <unistd.h>

#include <cmath>
#include <iostream>

#include "absl/strings/str_format.h"

namespace worldswitch {
namespace {

constexpr std::chrono::milliseconds kRedraw(100);
constexpr double kStep = 0.1;  // between lines where there is no terminal
constexpr char kEraseLine[] = "\r\033[K";

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Clear(); }

void Progress::Show(const std::string& what, double fraction) {
  const long percent = std::lround(fraction * 100);
  if (terminal_) {
    const auto now = std::chrono::steady_clock::now();
    if (drawn_ && now - last_ < kRedraw) return;
    last_ = now;
    drawn_ = true;
    std::cerr << kEraseLine << absl::StrFormat("%3d %%  %s", percent, what)
              << std::flush;
    return;
  }
  if (fraction < next_fraction_) return;
  next_fraction_ = (std::floor(fraction / kStep) + 1) * kStep;
  std::cerr << absl::StrFormat("%3d %%  %s\n", percent, what) << std::flush;
}

void Progress::Clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::cerr << kEraseLine << std::flush;
}

}  // namespace worldswitch
