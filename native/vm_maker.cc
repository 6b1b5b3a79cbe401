#include "native/vm_maker.h"

#include "native/run_guard.h"

namespace worldswitch::native {

NativeVm* VmMaker::Make(const VmNeeds& needs, const char* own,
                        const char** why) {
  NativeKnobValues knobs = knobs_;
  for (const char* at = own; at != nullptr && *at != 0;) {
    std::size_t size = 0;
    while (at[size] != 0 && at[size] != ',') ++size;
    if (knobs.Set(at, size) != KnobParse::kOk) {
      *why = "it is about a knob, or a value of it, that this backend lacks";
      return nullptr;
    }
    at += size;
    if (*at == ',') ++at;
  }
  NativeVm* vm = backend_.CreateVm(needs, knobs, why);
  if (vm != nullptr) run_guard.Limit(*vm);
  return vm;
}

}  // namespace worldswitch::native
