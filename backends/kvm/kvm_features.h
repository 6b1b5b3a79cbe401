// The optional interfaces (core/features/) that a VM of KVM has, made when they
// are first asked for.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_FEATURES_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_FEATURES_H_

#include <memory>

#include "core/vm_ops.h"

namespace worldswitch {

class KvmDirtyLog;
class KvmGuestClock;
class KvmGuestDebug;
class KvmMemorySlots;
class KvmMsrExits;
class KvmState;
class KvmIoEvents;
class KvmVm;

class KvmFeatures {
 public:
  explicit KvmFeatures(KvmVm& vm);
  ~KvmFeatures();  // where the features are complete types
  KvmFeatures(const KvmFeatures&) = delete;
  KvmFeatures& operator=(const KvmFeatures&) = delete;

  // As VmOps::feature. Null where the engine lacks what it stands on. One
  // thread at a time.
  void* Get(FeatureId id);

 private:
  KvmVm& vm_;
  std::unique_ptr<KvmDirtyLog> dirty_log_;
  std::unique_ptr<KvmGuestClock> guest_clock_;
  std::unique_ptr<KvmGuestDebug> guest_debug_;
  std::unique_ptr<KvmMemorySlots> memory_slots_;
  std::unique_ptr<KvmMsrExits> msr_exits_;
  std::unique_ptr<KvmState> state_;
  std::unique_ptr<KvmIoEvents> io_events_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_FEATURES_H_
