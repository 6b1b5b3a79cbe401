// What one exit costs through each loop, on the same guest with the same work,
// in ticks of the TSC: in a lab, exact counts of instructions, the kernel's
// included. Prints "bare 3038", "virtual ...", "final ...": the medians.
//
// Exit code: 0 done, 1 not.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench/deadline.h"
#include "bench/loops.h"

namespace worldswitch {
namespace {

constexpr unsigned kDeadlineSeconds = 100;
constexpr std::size_t kExits = 2000;

absl::StatusOr<std::uint64_t> MedianRoundTrip(KvmBackend& backend,
                                              LoopKind kind) {
  absl::StatusOr<std::unique_ptr<Loop>> loop =
      MakeLoop(backend, kind, GuestMode::kRing0);
  if (!loop.ok()) return loop.status();
  std::vector<std::uint64_t> stamps(kExits);
  if (!(*loop)->Run(stamps)) {
    return absl::InternalError((*loop)->failure());
  }
  std::vector<std::uint64_t> trips;
  for (std::size_t i = 1; i < stamps.size(); ++i) {
    trips.push_back(stamps[i] - stamps[i - 1]);
  }
  const auto middle =
      trips.begin() + static_cast<std::ptrdiff_t>(trips.size() / 2);
  std::nth_element(trips.begin(), middle, trips.end());
  return *middle;
}

int Run() {
  const Deadline deadline(kDeadlineSeconds, "loop_cost");
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
  if (!system.ok()) {
    std::fprintf(stderr, "loop_cost: %s\n", system.status().ToString().c_str());
    return 1;
  }
  KvmBackend backend("kvm", *std::move(system), 0);
  for (const LoopKind kind :
       {LoopKind::kBare, LoopKind::kVirtual, LoopKind::kFinal}) {
    const absl::StatusOr<std::uint64_t> ticks = MedianRoundTrip(backend, kind);
    if (!ticks.ok()) {
      std::fprintf(stderr, "loop_cost: %s: %s\n", LoopKindName(kind),
                   ticks.status().ToString().c_str());
      return 1;
    }
    std::printf("%s %llu\n", LoopKindName(kind),
                static_cast<unsigned long long>(*ticks));
  }
  return 0;
}

}  // namespace
}  // namespace worldswitch

int main() { return worldswitch::Run(); }
