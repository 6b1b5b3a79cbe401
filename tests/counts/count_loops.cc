// Takes exactly N exits through one loop, for whoever counts from outside:
//
//   count_loops bare|virtual|final N
//
// Exit code: 0 done, 1 not, 2 usage, 77 no /dev/kvm to use (and why).

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/deadline.h"
#include "bench/loops.h"

namespace worldswitch {
namespace {

constexpr unsigned kDeadlineSeconds = 100;
constexpr int kSkipped = 77;
constexpr std::uint64_t kMostExits = 10'000'000;

int Skip(const absl::Status& why) {
  std::printf("SKIP: %s\n", why.ToString().c_str());
  return kSkipped;
}

int Fail(const std::string& why) {
  std::fprintf(stderr, "count_loops: %s\n", why.c_str());
  return 1;
}

int Count(LoopKind kind, std::uint64_t exits) {
  const Deadline deadline(kDeadlineSeconds, "count_loops");
  if (absl::Status usable = ProbeKvm(); !usable.ok()) return Skip(usable);
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
  if (!system.ok()) return Skip(system.status());
  KvmBackend backend("kvm", *std::move(system), 0);
  absl::StatusOr<std::unique_ptr<Loop>> loop =
      MakeLoop(backend, kind, GuestMode::kRing0);
  if (!loop.ok()) return Fail(loop.status().ToString());
  // Touched and freed in one piece whatever its size, which is therefore the
  // same for every N.
  std::vector<std::uint64_t> stamps(kMostExits / 100);
  for (std::uint64_t left = exits; left > 0;) {
    const std::uint64_t now = std::min<std::uint64_t>(left, stamps.size());
    if (!(*loop)->Run({stamps.data(), now})) return Fail((*loop)->failure());
    left -= now;
  }
  return 0;
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  using worldswitch::LoopKind;
  const std::string name = argc == 3 ? argv[1] : "";
  const std::uint64_t exits =
      argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  for (const LoopKind kind :
       {LoopKind::kBare, LoopKind::kVirtual, LoopKind::kFinal}) {
    if (name == worldswitch::LoopKindName(kind) && exits > 0 &&
        exits <= worldswitch::kMostExits) {
      return worldswitch::Count(kind, exits);
    }
  }
  std::fprintf(stderr, "usage: count_loops bare|virtual|final N\n");
  return 2;
}
