// What the processor's SVM has, what the backend needs of it, what it would
// like, and what was refused.
//
// Freestanding; Probe is for ring 0 only.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FEATURES_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FEATURES_H_

#include <cstdint>

#include "backends/native/native_backend.h"

namespace worldswitch::svm {

struct SvmFeatures {
  bool svm = false;              // CPUID 8000_0001.ECX[2], vendor AMD or Hygon
  std::uint32_t revision = 0;    // 8000_000A.EAX
  std::uint32_t asids = 0;       // 8000_000A.EBX
  std::uint32_t bits = 0;        // 8000_000A.EDX
  unsigned physical_bits = 36;   // 8000_0008.EAX[7:0]
  bool has_1gib_pages = false;   // 8000_0001.EDX[26]
  bool no_execute = false;       // 8000_0001.EDX[20]

  bool nested_paging() const { return (bits & 1u << 0) != 0; }
  bool nrip() const { return (bits & 1u << 3) != 0; }
  bool clean_bits() const { return (bits & 1u << 5) != 0; }
  bool flush_by_asid() const { return (bits & 1u << 6) != 0; }
  bool decode_assists() const { return (bits & 1u << 7) != 0; }
  bool pause_filter() const { return (bits & 1u << 10) != 0; }
  bool pause_threshold() const { return (bits & 1u << 12) != 0; }
};

SvmFeatures ProbeSvmFeatures();

// Null: all that is required is there. Else what is missing.
const char* MissingRequirement(const SvmFeatures& features);

// Each optional feature as a fact: "feature.NRIPS" "yes", or "refused.NRIPS"
// with what the backend does without it.
void ReportSvmFeatures(const SvmFeatures& features, ReportSink& sink);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_FEATURES_H_
