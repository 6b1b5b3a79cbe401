#include "bench/deadline.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace worldswitch {
namespace {

std::atomic<const char*> told = "";

void Say(const char* text) {
  // Nothing is left to do about a failure.
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) _exit(1);
}

void OnAlarm(int /*signal*/) {
  Say("took too long, and was ended: ");
  Say(told.load());
  Say("\n");
  _exit(1);
}

}  // namespace

Deadline::Deadline(unsigned seconds, const char* what) {
  told.store(what);
  struct sigaction action = {};
  action.sa_handler = OnAlarm;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  alarm(seconds);
}

Deadline::~Deadline() {
  alarm(0);
  signal(SIGALRM, SIG_DFL);
}

}  // namespace worldswitch
