#include "native/final_loops.h"

#include "backends/svm_amd/native/svm_vcpu.h"
#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch::native {

FinalLoops FinalLoopsOf(const NativeBackend& backend) {
  if (&backend == &NativeSvmBackend()) {
    return {.block = LoopOn<svm::SvmVcpu>, .path = PathOn<svm::SvmVcpu>};
  }
  return {.block = LoopOn<VmxVcpu>, .path = PathOn<VmxVcpu>};
}

}  // namespace worldswitch::native
