#include "native/final_loops.h"

#include "backends/svm_amd/native/svm_vcpu.h"

namespace worldswitch::native {

FinalLoops FinalLoopsOf(const NativeBackend& backend) {
  if (&backend == &NativeSvmBackend()) {
    return {.block = LoopOn<svm::SvmVcpu>, .path = PathOn<svm::SvmVcpu>};
  }
  return {};
}

}  // namespace worldswitch::native
