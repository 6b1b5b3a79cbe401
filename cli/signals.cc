#include "cli/signals.h"

#include <signal.h>

#include <atomic>

namespace worldswitch {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<Watchdog*> watched = nullptr;
std::atomic<int> got = 0;

void OnSignal(int number) {
  got.store(number);
  Watchdog* watchdog = watched.load();
  if (watchdog != nullptr) watchdog->Stop();
}

void Install(void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  // No SA_RESTART: the entry into the guest is to be interrupted.
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

}  // namespace

SignalScope::SignalScope(Watchdog& watchdog) {
  watched.store(&watchdog);
  Install(OnSignal, static_cast<int>(SA_RESETHAND));
}

SignalScope::~SignalScope() {
  Install(SIG_DFL, 0);
  watched.store(nullptr);
}

int SignalScope::received() { return got.load(); }

}  // namespace worldswitch
