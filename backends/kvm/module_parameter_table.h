// What the parameters of kvm, kvm_intel and kvm_amd do, in a line each.
// Sources: the kernel's admin-guide/kernel-parameters, and module_param lines
// of arch/x86/kvm from 5.10 to 6.12. Which of them a kernel has is read from
// the kernel; one that is not in this table is shown without a meaning.

#ifndef WORLDSWITCH_BACKENDS_KVM_MODULE_PARAMETER_TABLE_H_
#define WORLDSWITCH_BACKENDS_KVM_MODULE_PARAMETER_TABLE_H_

#include "absl/types/span.h"

namespace worldswitch {

struct ModuleParameterMeaning {
  const char* module;
  const char* name;
  const char* unit;  // "" where it has none
  const char* meaning;
};

absl::Span<const ModuleParameterMeaning> ModuleParameterMeanings();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_MODULE_PARAMETER_TABLE_H_
