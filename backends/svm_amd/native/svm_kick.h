// What stands behind a vCPU's kick handles: a word that the switch looks at
// before it enters, and that the exits by a host interrupt look at behind.
//
// Kick does no more than set it: on the vCPU's own processor it is an interrupt
// handler that kicks, and the interrupt has ended the guest already.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_KICK_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_KICK_H_

#include <atomic>
#include <cstdint>
#include <new>

#include "backends/native/host_services.h"
#include "core/kick.h"

namespace worldswitch::svm {

class SvmKickTarget final : public KickTarget {
 public:
  // With one reference. Null: the host has no page.
  static SvmKickTarget* Make(const HostServices& host) {
    void* page = host.allocate_pages(host.context, 1, kPageBytes);
    return page == nullptr ? nullptr : new (page) SvmKickTarget(host);
  }

  void Ref() override { users_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() override {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      host_.free_pages(host_.context, this, 1);
    }
  }
  void Kick() override { kicked_.store(1, std::memory_order_release); }

  // True: there was a kick since the last call.
  bool Take() { return kicked_.exchange(0, std::memory_order_acq_rel) != 0; }
  bool raised() const { return kicked_.load(std::memory_order_acquire) != 0; }
  // For the switch.
  const std::uint32_t* word() const {
    static_assert(sizeof(kicked_) == sizeof(std::uint32_t));
    return reinterpret_cast<const std::uint32_t*>(&kicked_);
  }

 private:
  explicit SvmKickTarget(const HostServices& host) : host_(host) {}

  const HostServices& host_;
  std::atomic<std::uint32_t> users_ = 1;
  std::atomic<std::uint32_t> kicked_ = 0;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_KICK_H_
