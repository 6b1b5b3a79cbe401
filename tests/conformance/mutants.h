// Backends that are wrong on purpose, each in one thing: the proof that the
// conformance suite sees it.

#ifndef WORLDSWITCH_TESTS_CONFORMANCE_MUTANTS_H_
#define WORLDSWITCH_TESTS_CONFORMANCE_MUTANTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/host/forwarding.h"
#include "core/vm_ops.h"

namespace worldswitch {

struct Mutant {
  std::string name = {};
  // Puts the mutant around a VM that is right.
  std::function<std::unique_ptr<ForwardingVm>(VmOps& right)> make = nullptr;
  // The clauses that have to fail.
  std::set<std::string> breaks = {};
  // And those that may: what they need to show anything is broken, too. All
  // others have to pass, or to skip.
  std::set<std::string> may_break = {};
  // No such promise: the thing broken is what most checks are made with.
  bool breaks_more = false;
};

// A VM that is right, of vCPUs that are not.
template <typename Vcpu>
std::unique_ptr<ForwardingVm> Of(VmOps& right) {
  auto vm = std::make_unique<ForwardingVm>(right);
  for (std::uint32_t i = 0; i < right.vcpu_count(); ++i) {
    vm->AddVcpu(std::make_unique<Vcpu>(right.vcpu(i)));
  }
  return vm;
}

// By group, each in a file of its own.
std::vector<Mutant> ExitMutants();
std::vector<Mutant> RegisterMutants();
std::vector<Mutant> EventMutants();
std::vector<Mutant> KickMutants();
std::vector<Mutant> MemoryMutants();

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_CONFORMANCE_MUTANTS_H_
