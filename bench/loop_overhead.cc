// What the loop costs: the virtual and the final vcpu_enter_guest against a
// bare ioctl(KVM_RUN) loop in C, on the same guest with the same work.
//
// Four VMs take turns, 50 round trips each: bare, virtual, final, and the bare
// loop once more, which shows how far apart two equal loops seem to be. Since
// two equal VMs may keep a small difference for life, there are several sets of
// four, and a ratio is the median of the sets' ratios.

#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/deadline.h"
#include "bench/kvm_program.h"
#include "bench/loops.h"
#include "bench/statistics.h"

namespace worldswitch {
namespace {

constexpr std::size_t kBlock = 50;  // round trips
constexpr int kWarmUpBlocks = 5;
constexpr int kBlocksPerSet = 100;
constexpr std::int64_t kSets = 8;
constexpr std::int64_t kIterations = kSets * kBlocksPerSet;
constexpr unsigned kDeadlineSeconds = 120;

constexpr LoopKind kLoops[] = {LoopKind::kBare, LoopKind::kVirtual,
                               LoopKind::kFinal, LoopKind::kBare};
constexpr std::size_t kLoopCount = std::size(kLoops);
constexpr std::size_t kBare = 0;
constexpr std::size_t kVirtual = 1;
constexpr std::size_t kFinal = 2;
constexpr std::size_t kBareAgain = 3;

using Figures = std::array<double, kLoopCount>;  // ticks, by loop

// Four VMs that take turns.
class Set {
 public:
  // turn: which loop is made first.
  absl::Status Make(KvmBackend& backend, GuestMode mode, std::size_t turn) {
    for (std::size_t i = 0; i < kLoopCount; ++i) {
      const std::size_t which = (i + turn) % kLoopCount;
      absl::StatusOr<std::unique_ptr<Loop>> loop =
          MakeLoop(backend, kLoops[which], mode);
      if (!loop.ok()) return loop.status();
      loops_[which] = *std::move(loop);
    }
    for (int i = 0; i < kWarmUpBlocks; ++i) {
      if (absl::Status ran = RunBlocks(); !ran.ok()) return ran;
    }
    for (std::vector<std::int64_t>& trips : trips_) trips.clear();
    return absl::OkStatus();
  }

  // A block of each, in an order that changes every time.
  absl::Status RunBlocks() {
    ++turn_;
    for (std::size_t i = 0; i < kLoopCount; ++i) {
      const std::size_t place = turn_ % 2 == 0 ? i : kLoopCount - 1 - i;
      const std::size_t which = (place + turn_ / 2) % kLoopCount;
      if (!loops_[which]->Run(stamps_)) {
        return absl::InternalError(absl::StrCat(
            LoopKindName(kLoops[which]), " loop: ", loops_[which]->failure()));
      }
      for (std::size_t trip = 0; trip < kBlock; ++trip) {
        trips_[which].push_back(
            static_cast<std::int64_t>(stamps_[trip + 1] - stamps_[trip]));
      }
    }
    return absl::OkStatus();
  }

  // The last block's round trip, ticks.
  double LastBlock(std::size_t which) const {
    return BlockMedians(std::span(trips_[which]).last(kBlock), kBlock).front();
  }

  Figures Medians() const {
    Figures medians = {};
    for (std::size_t which = 0; which < kLoopCount; ++which) {
      medians[which] = Median(BlockMedians(trips_[which], kBlock));
    }
    return medians;
  }

 private:
  std::array<std::unique_ptr<Loop>, kLoopCount> loops_;
  std::array<std::vector<std::int64_t>, kLoopCount> trips_;
  // One exit more than round trips: the first has none before it.
  std::array<std::uint64_t, kBlock + 1> stamps_ = {};
  std::size_t turn_ = 0;
};

double MedianOf(const std::vector<Figures>& sets, std::size_t which) {
  std::vector<double> values;
  values.reserve(sets.size());
  for (const Figures& set : sets) values.push_back(set[which]);
  return Median(std::move(values));
}

double MedianRatio(const std::vector<Figures>& sets, std::size_t which) {
  std::vector<double> ratios;
  ratios.reserve(sets.size());
  for (const Figures& set : sets) ratios.push_back(set[which] / set[kBare]);
  return Median(std::move(ratios));
}

double WidestFloor(const std::vector<Figures>& sets) {
  double widest = 0;
  for (const Figures& set : sets) {
    widest = std::fmax(widest, std::fabs(set[kBareAgain] / set[kBare] - 1));
  }
  return widest;
}

// One iteration is a block of each loop; the time is that of one round trip of
// the virtual loop.
void RoundTrip(benchmark::State& state, KvmProgram& program, GuestMode mode) {
  const Deadline deadline(kDeadlineSeconds, "loop_overhead");
  std::vector<Figures> sets;
  std::unique_ptr<Set> set;
  int blocks = 0;
  for (auto _ : state) {
    absl::Status status;
    if (set == nullptr) {
      set = std::make_unique<Set>();
      status = set->Make(*program.backend, mode, sets.size());
    }
    if (status.ok()) status = set->RunBlocks();
    if (!status.ok()) {
      state.SkipWithError(std::string(status.message()).c_str());
      return;
    }
    state.SetIterationTime(program.Seconds(set->LastBlock(kVirtual)));
    if (++blocks == kBlocksPerSet) {
      sets.push_back(set->Medians());
      set.reset();
      blocks = 0;
    }
  }
  state.SetLabel(program.engine);
  state.counters["bare_ticks"] = MedianOf(sets, kBare);
  state.counters["virtual_ticks"] = MedianOf(sets, kVirtual);
  state.counters["final_ticks"] = MedianOf(sets, kFinal);
  state.counters["ratio_virtual"] = MedianRatio(sets, kVirtual);
  state.counters["ratio_final"] = MedianRatio(sets, kFinal);
  state.counters["ratio_bare_bare"] = MedianRatio(sets, kBareAgain);
  state.counters["widest_bare_bare"] = WidestFloor(sets);
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  using worldswitch::GuestMode;
  using worldswitch::KvmProgram;
  return worldswitch::RunKvmProgram(argc, argv, [](KvmProgram& program) {
    for (const GuestMode mode : {GuestMode::kReal, GuestMode::kRing0}) {
      worldswitch::AddBenchmark(
          absl::StrCat("loop/pio_out/mode:", worldswitch::GuestModeName(mode)),
          worldswitch::kIterations, [&program, mode](benchmark::State& state) {
            worldswitch::RoundTrip(state, program, mode);
          });
    }
  });
}
