// What stands behind a KickHandle of a KVM vCPU: outlives the vCPU, and is
// detached from it when it goes.
//
// A kick sets `immediate_exit` in the vCPU's page, so that a KVM_RUN about to
// begin returns at once, and then signals the thread the vCPU is bound to, so
// that one under way is broken off. Between the two nothing can slip through;
// the flag stays set until a run has returned kInterrupted for it.

#ifndef WORLDSWITCH_BACKENDS_KVM_KICK_BLOCK_H_
#define WORLDSWITCH_BACKENDS_KVM_KICK_BLOCK_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/status/status.h"
#include "backends/kvm/kvm_header.h"
#include "core/kick.h"

namespace worldswitch {

// Names the calling thread: 0 until it first runs a vCPU, then a number no
// other thread of this process ever had. Costs one load to compare, where a
// system call would be needed for a thread id.
#if defined(__PIC__) && !defined(__PIE__)
#define WS_TLS_MODEL [[gnu::tls_model("initial-exec")]]  // a shared object
#else
#define WS_TLS_MODEL
#endif
inline constinit thread_local std::uint64_t this_thread_token WS_TLS_MODEL = 0;
#undef WS_TLS_MODEL

// `immediate_exit` is a byte of which KVM asks only whether it is zero.
inline constexpr std::uint8_t kKickRequested = 1;
inline constexpr std::uint8_t kCompleteOnly = 2;

class KickBlock final : public KickTarget {
 public:
  // Begins with one reference, that of the vCPU.
  KickBlock(kvm_run* page, int signal) : page_(page), signal_(signal) {}

  // Makes `signal` break off a KVM_RUN: gives it an empty handler where it
  // still has the default action, which would end the process. A handler that
  // the program already has is left alone. Refused: a number that is no
  // signal, and a signal that is ignored.
  static absl::Status PrepareSignal(int signal);
  // SIGRTMIN + 4: not one that a C library or a debugger is known to use.
  static int DefaultSignal();

  // KickTarget; any thread.
  void Ref() override;
  void Unref() override;
  void Kick() override;

  // The thread that runs the vCPU. From now on kicks go to the caller; the
  // signal is unblocked for it. Returns its token.
  std::uint64_t BindToThisThread();
  // After this no kick touches the page or signals anybody.
  void Detach();

 private:
  ~KickBlock() = default;

  std::atomic<std::uint32_t> users_ = 1;
  // std::mutex rather than absl::Mutex: ThreadSanitizer does not see the locks
  // of an Abseil that was built without it.
  std::mutex mutex_;
  kvm_run* page_;                   // null: detached
  pid_t thread_ = 0;                // 0: not bound yet
  std::uint64_t thread_token_ = 0;  // that thread's this_thread_token
  const int signal_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KICK_BLOCK_H_
