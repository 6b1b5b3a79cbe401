// Which implementation of SVM this is, where it makes a difference: an emulator
// that is known to deviate, or anything else. Ring 0; freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_PROCESSOR_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_PROCESSOR_H_

#include <cstdint>

#include "backends/svm_amd/native/svm_features.h"

namespace worldswitch::svm {

enum class SvmProcessor : std::uint8_t { kOther, kQemu, kBochs };

SvmProcessor ProbeSvmProcessor(const SvmFeatures& features);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_PROCESSOR_H_
