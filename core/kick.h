// A handle that makes a vCPU leave the guest, from any thread, at any time,
// even after the vCPU is gone.
//
// Part of the contract floor: freestanding. The backend owns the target behind
// the handle and counts its users.

#ifndef WORLDSWITCH_CORE_KICK_H_
#define WORLDSWITCH_CORE_KICK_H_

#include <utility>

namespace worldswitch {

// What a backend stands behind its handles. Every member is safe to call from
// any thread.
class KickTarget {
 public:
  virtual void Ref() = 0;
  // Gives up one reference; the last one frees the target.
  virtual void Unref() = 0;
  // See clauses KICK.1 to KICK.4 of core/vcpu_ops.h.
  virtual void Kick() = 0;

 protected:
  ~KickTarget() = default;
};

// Copyable; each copy may live on another thread. An empty handle, and one
// whose vCPU is gone, kicks nobody.
class KickHandle {
 public:
  KickHandle() = default;
  // Takes over one reference that the caller already holds.
  explicit KickHandle(KickTarget* adopted) : target_(adopted) {}
  KickHandle(const KickHandle& other) : target_(other.target_) {
    if (target_ != nullptr) target_->Ref();
  }
  KickHandle(KickHandle&& other) noexcept
      : target_(std::exchange(other.target_, nullptr)) {}
  KickHandle& operator=(KickHandle other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~KickHandle() {
    if (target_ != nullptr) target_->Unref();
  }

  void Kick() const {
    if (target_ != nullptr) target_->Kick();
  }
  explicit operator bool() const { return target_ != nullptr; }

 private:
  KickTarget* target_ = nullptr;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_KICK_H_
