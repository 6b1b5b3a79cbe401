// VMs as the image makes them: with the command line's knobs, and every run
// limited. Freestanding.

#ifndef WORLDSWITCH_NATIVE_VM_MAKER_H_
#define WORLDSWITCH_NATIVE_VM_MAKER_H_

#include "backends/native/native_backend.h"
#include "native/text.h"

namespace worldswitch::native {

class VmMaker {
 public:
  explicit VmMaker(NativeBackend& backend)
      : backend_(backend), knobs_(backend.knobs()) {}

  NativeBackend& backend() { return backend_; }
  const NativeKnobValues& knobs() const { return knobs_; }
  // "name=value", for all VMs from now on.
  KnobParse SetKnob(TextView text) { return knobs_.Set(text.data, text.size); }

  // own: "a=b,c=d", over the others; may be null. Null: *why.
  NativeVm* Make(const VmNeeds& needs, const char* own, const char** why);
  void Destroy(NativeVm* vm) { backend_.DestroyVm(vm); }

 private:
  NativeBackend& backend_;
  NativeKnobValues knobs_;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_VM_MAKER_H_
