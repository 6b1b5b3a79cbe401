#include "cli/lab_signals.h"

#include <signal.h>

namespace worldswitch {
namespace {

// SIGPIPE: nobody reads what the command prints.
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

StopFlag got = 0;

void OnSignal(int number) { got.store(number); }

void Install(void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

}  // namespace

LabSignals::LabSignals() { Install(OnSignal, static_cast<int>(SA_RESETHAND)); }

LabSignals::~LabSignals() { Install(SIG_DFL, 0); }

const StopFlag& LabSignals::flag() { return got; }

}  // namespace worldswitch
