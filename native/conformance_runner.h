// `conformance`: the clauses of core/vcpu_ops.h, each in every mode it is
// defined in, into the log. Freestanding.

#ifndef WORLDSWITCH_NATIVE_CONFORMANCE_RUNNER_H_
#define WORLDSWITCH_NATIVE_CONFORMANCE_RUNNER_H_

#include <cstdint>

#include "native/command_line.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

struct ClauseTotals {
  std::uint32_t passed = 0;
  std::uint32_t failed = 0;
  std::uint32_t skipped = 0;
};

// The selected clauses; none at all where a glob matches nothing.
ClauseTotals RunConformance(VmMaker& maker, const Options& options);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CONFORMANCE_RUNNER_H_
