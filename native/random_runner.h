// `random`: guests that do anything at all, in every mode, with a host that
// answers and injects anything; and after each of them, whether the host is
// still what it was. Vendor-neutral. Freestanding.
//
// Run i of seed S is run 0 of seed S + i: `random --runs 1 --seed S+i` does
// again what run i did.

#ifndef WORLDSWITCH_NATIVE_RANDOM_RUNNER_H_
#define WORLDSWITCH_NATIVE_RANDOM_RUNNER_H_

#include <cstdint>

#include "native/checks.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

void RunRandomGuests(VmMaker& maker, const HostServices& host,
                     std::uint64_t runs, std::uint64_t seed, CheckSink& sink);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_RANDOM_RUNNER_H_
