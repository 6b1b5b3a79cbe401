// The result as kvm-unit-tests' x86/vmexit prints its own: "name cycles" lines,
// by the names of its tests, for scripts that read those.
//
// That program prints the average of one long loop without stamps; the figure
// here is the row's batch figure, which is the same loop's ticks an iteration
// (the median over the repetitions) less those of the empty loop. So vmexit's
// own loop, a few instructions and an indirect call, is in its figures and not
// in these: some ticks where the guest's ring 0 runs natively, as much as
// control/loop says where it is emulated. Its ipi_halt and tscdeadline have
// waits of 2000 and 3000 ticks within; only the latter is in ours as well.

#ifndef WORLDSWITCH_BENCH_VMEXIT_FORMAT_H_
#define WORLDSWITCH_BENCH_VMEXIT_FORMAT_H_

#include <string>
#include <vector>

#include "bench/row.h"

namespace worldswitch {

struct VmexitText {
  std::string lines;  // "cpuid 1234\n", of rows that are proven
  std::string notes;  // "vmcall: no figure: ...\n", of all others
};

// Takes the rows in ring 0 that have a counterpart; the others do not appear.
VmexitText VmexitFormat(const std::vector<Row>& rows);

// Leaves only those rows.
void KeepVmexitRows(std::vector<Row>* rows);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_VMEXIT_FORMAT_H_
