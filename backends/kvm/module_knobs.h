// The parameters of KVM's modules as knobs of host scope: what each does, what
// it is set to, and how it can be changed on this host.

#ifndef WORLDSWITCH_BACKENDS_KVM_MODULE_KNOBS_H_
#define WORLDSWITCH_BACKENDS_KVM_MODULE_KNOBS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/host/knob.h"

namespace worldswitch {

// Every parameter that `module` has, named "kvm_amd.npt", sorted; with its
// value of now, and either settable or the way to set it. sysfs: "/sys", or a
// made-up tree. Empty where the module is not there.
std::vector<Knob> ModuleKnobs(const std::string& sysfs,
                              absl::string_view module);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_MODULE_KNOBS_H_
