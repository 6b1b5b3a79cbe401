#include "bench/exit_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

std::string DescribeIo(const IoExit& io) {
  std::string text = absl::StrFormat(
      "Io: %s of %d byte%s %s port %#x", io.is_write ? "OUT" : "IN", io.size,
      io.size == 1 ? "" : "s", io.is_write ? "to" : "from", io.port);
  if (io.count != 1) absl::StrAppend(&text, ", ", io.count, " elements");
  return text;
}

std::string DescribeInternalError(const InternalErrorExit& error) {
  std::string text = absl::StrCat(
      "the engine gave up on the instruction (internal error, suberror ",
      error.suberror);
  const std::uint32_t shown = std::min<std::uint32_t>(error.data_count, 4);
  for (std::uint32_t i = 0; i < shown; ++i) {
    absl::StrAppendFormat(&text, "%s%#x", i == 0 ? "; data " : " ",
                          error.data[i]);
  }
  return text + ")";
}

}  // namespace

std::string DescribeExit(const Exit& exit) {
  switch (exit.reason) {
    case ExitReason::kIo:
      return DescribeIo(exit.io);
    case ExitReason::kMmio:
      return absl::StrFormat("Mmio: %s of %d bytes at %#x",
                             exit.mmio.is_write ? "write" : "read",
                             exit.mmio.length, exit.mmio.gpa);
    case ExitReason::kInternalError:
      return DescribeInternalError(exit.internal_error);
    case ExitReason::kShutdown:
      return "the guest shut down (triple fault)";
    case ExitReason::kEntryFailure:
      return absl::StrFormat("the processor refused the entry (reason %#x)",
                             exit.entry_failure.hardware_reason);
    case ExitReason::kError:
      return absl::StrCat("run failed: ", ErrnoName(exit.error.error_number));
    default:
      return absl::StrCat(ExitReasonName(exit.reason), ": raw code ", exit.raw);
  }
}

std::string DescribeExit(const Exit& exit, const Vm& vm) {
  const std::string more = vm.Explain(exit);
  return more.empty() ? DescribeExit(exit)
                      : absl::StrCat(DescribeExit(exit), ": ", more);
}

}  // namespace worldswitch
