// Kernel modules in a directory: which there are, what each needs, what
// parameters it takes; by the .modinfo records in the files themselves, so that
// no depmod needs to have run.

#ifndef WORLDSWITCH_LAB_KERNEL_MODULES_H_
#define WORLDSWITCH_LAB_KERNEL_MODULES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

struct KernelModule {
  std::string name;                     // "kvm_amd", as the kernel writes it
  std::string bytes;                    // the ELF file, no longer compressed
  std::vector<std::string> needs;       // modules
  std::vector<std::string> parameters;  // names
};

// The records "key=value" with this key, in their order.
std::vector<std::string> ModuleRecords(absl::string_view module,
                                       absl::string_view key);

class KernelModules {
 public:
  // Finds *.ko, *.ko.xz, *.ko.zst and *.ko.gz below `directory`.
  static absl::StatusOr<KernelModules> In(const std::string& directory);

  // The named modules and all they need, in an order in which they load.
  // NotFound: one of them is not there.
  absl::StatusOr<std::vector<KernelModule>> LoadOrder(
      const std::vector<std::string>& names) const;

 private:
  std::string directory_;
  std::map<std::string, std::string> paths_;  // by module name
};

// "kvm_amd.npt=0", taken apart.
struct ModuleParameter {
  std::string module;
  std::string name;
  std::string value;
};
absl::StatusOr<ModuleParameter> ParseModuleParameter(const std::string& text);

// What finit_module is told for `module`. InvalidArgument: it has no such
// parameter, with those it has.
absl::StatusOr<std::string> ParametersFor(
    const KernelModule& module, const std::vector<ModuleParameter>& all);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_KERNEL_MODULES_H_
