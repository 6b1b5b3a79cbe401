// The same command under two kernels: what each exit costs before and after, in
// instructions. Both counts are exact, so every difference is one of paths.

#ifndef WORLDSWITCH_LAB_KERNEL_DIFFERENCE_H_
#define WORLDSWITCH_LAB_KERNEL_DIFFERENCE_H_

#include <string>

#include "absl/status/statusor.h"

namespace worldswitch {

// The table, of two results of `bench --json` made in labs: for each row the
// median round trip in both and the difference. InvalidArgument: one of them is
// not such a result.
absl::StatusOr<std::string> KernelDifference(const std::string& before,
                                             const std::string& after);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_KERNEL_DIFFERENCE_H_
