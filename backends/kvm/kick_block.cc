#include "backends/kvm/kick_block.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

void DoNothing(int /*signal*/) {}

std::uint64_t TokenOfThisThread() {
  static constinit std::atomic<std::uint64_t> last = 0;
  if (this_thread_token == 0) this_thread_token = ++last;
  return this_thread_token;
}

}  // namespace

int KickBlock::DefaultSignal() { return SIGRTMIN + 4; }

absl::Status KickBlock::PrepareSignal(int signal) {
  struct sigaction action = {};
  if (sigaction(signal, nullptr, &action) != 0) {
    return ErrnoStatus(errno, absl::StrCat("look up signal ", signal),
                       absl::StrCat("choose a signal from ", SIGRTMIN, " to ",
                                    SIGRTMAX, " (kick_signal=N)"));
  }
  if ((action.sa_flags & SA_SIGINFO) != 0) return absl::OkStatus();
  if (action.sa_handler == SIG_IGN) {
    return absl::FailedPreconditionError(absl::StrCat(
        "signal ", signal,
        " is ignored by this process and cannot break off KVM_RUN; choose "
        "another one (kick_signal=N)"));
  }
  if (action.sa_handler != SIG_DFL) return absl::OkStatus();
  action = {};
  action.sa_handler = DoNothing;
  sigemptyset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("install a handler for signal ", signal),
                       absl::StrCat("choose a signal from ", SIGRTMIN, " to ",
                                    SIGRTMAX, " (kick_signal=N)"));
  }
  return absl::OkStatus();
}

void KickBlock::Ref() { users_.fetch_add(1, std::memory_order_relaxed); }

void KickBlock::Unref() {
  if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void KickBlock::Kick() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (page_ == nullptr) return;
  const std::uint8_t before =
      std::atomic_ref<__u8>(page_->immediate_exit)
          .fetch_or(kKickRequested, std::memory_order_seq_cst);
  // A kick nobody has answered yet has sent its signal already. A thread that
  // kicks the vCPU it runs itself is not in KVM_RUN.
  if ((before & kKickRequested) != 0) return;
  if (thread_ == 0 || thread_token_ == this_thread_token) return;
  // ESRCH, if that thread has ended: then it is in no KVM_RUN either. EAGAIN
  // means that the queue of real-time signals is full (RLIMIT_SIGPENDING): try
  // until it is not, or until the kick has been answered without a signal.
  while (syscall(SYS_tgkill, getpid(), thread_, signal_) != 0 &&
         errno == EAGAIN &&
         (std::atomic_ref<__u8>(page_->immediate_exit).load() &
          kKickRequested) != 0) {
    sched_yield();
  }
}

std::uint64_t KickBlock::BindToThisThread() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, signal_);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  const std::lock_guard<std::mutex> lock(mutex_);
  thread_ = static_cast<pid_t>(syscall(SYS_gettid));
  thread_token_ = TokenOfThisThread();
  return thread_token_;
}

void KickBlock::Detach() {
  const std::lock_guard<std::mutex> lock(mutex_);
  page_ = nullptr;
}

}  // namespace worldswitch
