#include "bench/session.h"

#include <fnmatch.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/block_driver.h"
#include "bench/statistics.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

constexpr char kTicks[] = "ticks";
constexpr std::chrono::hours kNoBudget(24);
constexpr char kNativePrefix[] = "native/";
constexpr char kOnlyNative[] =
    "KVM keeps it to itself; in ring 0: worldswitch lab svm_native|vmx_native "
    "-- bench";

constexpr GuestMode kModes[] = {GuestMode::kReal, GuestMode::kRing0,
                                GuestMode::kRing3};

bool Matches(const Scenario& scenario, const std::vector<std::string>& globs) {
  if (globs.empty()) return true;
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return fnmatch(glob.c_str(), scenario.name, 0) == 0;
  });
}

// Native rows are no rows of this host; who names one is told where it is.
bool LeftOut(const Scenario& scenario, const std::vector<std::string>& globs) {
  return scenario.place == ScenarioPlace::kNative &&
         std::none_of(globs.begin(), globs.end(), [&](const std::string& glob) {
           return absl::StartsWith(glob, kNativePrefix);
         });
}

absl::Status CheckGlobs(const std::vector<std::string>& globs) {
  for (const std::string& glob : globs) {
    bool found = false;
    for (const Scenario& scenario : AllScenarios()) {
      found = found || fnmatch(glob.c_str(), scenario.name, 0) == 0;
    }
    if (found) continue;
    std::vector<std::string> names;
    for (const Scenario& scenario : AllScenarios()) {
      names.emplace_back(scenario.name);
    }
    return absl::NotFoundError(
        absl::StrCat("no scenario matches '", glob,
                     "'. There are: ", absl::StrJoin(names, ", "),
                     ". A glob such as 'user/*' takes several."));
  }
  return absl::OkStatus();
}

// Shares the time of a run out among its pieces of work: what a quick one
// leaves is there for the slow ones.
class Pace {
 public:
  Pace(double seconds, std::uint64_t pieces)
      : limited_(seconds > 0),
        end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(seconds))),
        pieces_(pieces) {}

  // For the samples of the piece that begins now; warm-up and batches take
  // about as long again.
  std::chrono::milliseconds NextBudget() {
    using std::chrono::milliseconds;
    constexpr milliseconds kMost(150);
    // Quick exits need no more for all of their samples.
    constexpr milliseconds kLeast(12);
    const std::uint64_t left = pieces_ > 0 ? pieces_-- : 1;
    if (!limited_) return kMost;
    const auto share =
        (end_ - Clock::now()) / static_cast<std::int64_t>(left) / 2;
    return std::clamp(std::chrono::duration_cast<milliseconds>(share), kLeast,
                      kMost);
  }

 private:
  using Clock = std::chrono::steady_clock;
  const bool limited_;
  const Clock::time_point end_;
  std::uint64_t pieces_;
};

bool IsRefused(const Row& row) {
  return row.verdict == Verdict::kUnsupported || row.verdict == Verdict::kHangs;
}

// Both sides of the A/A comparison: a VM each, the same scenario, blocks in
// turns, the order changed every time.
class FloorPair {
 public:
  FloorPair(Measurer& measurer, Watchdog& watchdog, const Scenario& scenario,
            GuestMode mode)
      : measurer_(measurer),
        watchdog_(watchdog),
        scenario_(scenario),
        mode_(mode) {}

  // One repetition into the pools. False: it could not be measured.
  bool Measure(std::uint32_t samples, std::vector<std::int64_t> pools[2],
               std::vector<double>* per_repetition) {
    std::unique_ptr<Vm> vms[2];
    std::unique_ptr<BlockDriver> drivers[2];
    std::vector<std::int64_t> here[2];
    for (int side = 0; side < 2; ++side) {
      absl::StatusOr<std::unique_ptr<Vm>> vm = measurer_.CreateVm(scenario_);
      if (!vm.ok()) return false;
      vms[side] = *std::move(vm);
      drivers[side] = std::make_unique<BlockDriver>(*vms[side], scenario_,
                                                    watchdog_.stop());
      if (drivers[side]->Load(mode_) != Result::kOk) return false;
    }
    const std::uint32_t blocks =
        (samples + kBlockIterations - 1) / kBlockIterations;
    constexpr std::uint32_t kWarmUpBlocks = 4;
    for (std::uint32_t block = 0; block < blocks + kWarmUpBlocks; ++block) {
      for (int turn = 0; turn < 2; ++turn) {
        const int side = (turn + static_cast<int>(block)) % 2;
        std::vector<std::int64_t>* into =
            block < kWarmUpBlocks ? nullptr : &here[side];
        if (!RunOne(*vms[side], *drivers[side], into)) return false;
      }
    }
    const std::optional<double> difference = RelativeDifference(
        Distribution(here[0]).median(), Distribution(here[1]).median());
    if (difference.has_value()) per_repetition->push_back(*difference);
    for (int side = 0; side < 2; ++side) {
      pools[side].insert(pools[side].end(), here[side].begin(),
                         here[side].end());
    }
    return true;
  }

 private:
  bool RunOne(Vm& vm, BlockDriver& driver, std::vector<std::int64_t>* into) {
    watchdog_.Watch(vm.vcpu(0).kick_handle());
    const BlockStatus status =
        driver.Run(BlockCommand::kSample, kBlockIterations);
    watchdog_.Unwatch();
    if (status != BlockStatus::kDone) return false;
    Sample samples[kBlockIterations];
    if (!driver.Samples(samples, kBlockIterations)) return false;
    if (into == nullptr) return true;
    for (const Sample& sample : samples) into->push_back(RoundTrip(sample));
    return true;
  }

  Measurer& measurer_;
  Watchdog& watchdog_;
  const Scenario& scenario_;
  GuestMode mode_;
};

const Scenario* FloorScenario() {
  for (const Scenario& scenario : AllScenarios()) {
    // The plain one: it exits, and needs nothing set up.
    if (scenario.payload == Payload::k_pio_out && scenario.knobs == nullptr &&
        scenario.prepare == nullptr && scenario.on_exit != nullptr) {
      return &scenario;
    }
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<std::vector<Row>> SelectRows(const SessionOptions& options) {
  absl::Status known = CheckGlobs(options.scenarios);
  if (!known.ok()) return known;
  std::vector<Row> rows;
  for (const Scenario& scenario : AllScenarios()) {
    if (!Matches(scenario, options.scenarios) ||
        LeftOut(scenario, options.scenarios)) {
      continue;
    }
    if (scenario.kind == ScenarioKind::kHostCall) {
      Row row;
      row.scenario = &scenario;
      rows.push_back(std::move(row));
      continue;
    }
    for (const GuestMode mode : kModes) {
      if (options.mode.has_value() && *options.mode != mode) continue;
      Row row;
      row.scenario = &scenario;
      row.mode = mode;
      const char* why_not = WhyNotInMode(scenario, mode);
      if (why_not == nullptr && scenario.place == ScenarioPlace::kNative) {
        why_not = kOnlyNative;
      }
      if (why_not != nullptr) {
        row.verdict = Verdict::kUnsupported;
        row.why = why_not;
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

absl::StatusOr<SessionResult> RunSession(Backend& backend, Watchdog& watchdog,
                                         const SessionOptions& options,
                                         std::vector<Row> rows,
                                         const ProgressFunction& progress) {
  NoiseProbe noise(static_cast<int>(options.cpu));
  MeasureOptions measuring = {.samples = options.samples,
                              .cpu = options.cpu,
                              .knobs = options.knobs,
                              .cpus = options.cpus};
  // Nothing in a lab goes by the clock: the same counts in every boot.
  const bool by_clock = backend.unit() == kTicks;
  if (!by_clock) measuring.budget = kNoBudget;
  Measurer measurer(backend, watchdog, noise, measuring);
  // Trouble that concerns every row is told once, before anything is measured.
  {
    absl::StatusOr<std::unique_ptr<Vm>> trial = measurer.CreateVm(Scenario{});
    if (!trial.ok()) return trial.status();
  }
  SessionResult result;
  result.rows = std::move(rows);

  const Scenario* floor_scenario = FloorScenario();
  const GuestMode floor_mode = options.mode.value_or(GuestMode::kRing0);
  FloorPair pair(measurer, watchdog, *floor_scenario, floor_mode);
  std::vector<std::int64_t> pools[2];
  std::vector<double> per_repetition;
  bool floor_works = true;

  const double steps =
      static_cast<double>(result.rows.size() + 1) * options.repetitions;
  double done = 0;
  const auto measurable = static_cast<std::uint64_t>(
      std::count_if(result.rows.begin(), result.rows.end(),
                    [](const Row& row) { return !IsRefused(row); }));
  Pace pace(options.seconds, (measurable + 1) * options.repetitions);
  for (std::uint32_t i = 0; i < options.repetitions; ++i) {
    for (Row& row : result.rows) {
      if (watchdog.stopped()) break;
      progress(row.Name(), done / steps);
      if (!IsRefused(row)) {
        const std::chrono::milliseconds budget = pace.NextBudget();
        if (by_clock) measurer.set_budget(budget);
        measurer.MeasureOnce(row);
      }
      ++done;
    }
    if (watchdog.stopped()) break;
    progress("A/A noise floor", done / steps);
    pace.NextBudget();
    floor_works =
        floor_works && pair.Measure(options.samples, pools, &per_repetition);
    ++done;
    result.repetitions_done = i + 1;
  }
  result.interrupted = watchdog.stopped();
  if (!pools[0].empty()) {
    NoiseFloor floor;
    floor.scenario =
        absl::StrCat(floor_scenario->name, "/mode:", GuestModeName(floor_mode));
    floor.samples = pools[0].size();
    floor.median_a = Distribution(std::move(pools[0])).median();
    floor.median_b = Distribution(std::move(pools[1])).median();
    floor.relative = std::fabs(
        RelativeDifference(floor.median_a, floor.median_b).value_or(0));
    floor.per_repetition = std::move(per_repetition);
    result.floor = std::move(floor);
  }
  return result;
}

absl::StatusOr<std::vector<std::uint32_t>> UsableCpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return ErrnoStatus(errno, "sched_getaffinity");
  }
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  if (cpus.empty()) {
    return absl::InternalError("this thread may run on no CPU");
  }
  return cpus;
}

absl::StatusOr<std::uint32_t> DefaultCpu() {
  absl::StatusOr<std::vector<std::uint32_t>> cpus = UsableCpus();
  if (!cpus.ok()) return cpus.status();
  return cpus->back();
}

absl::Status PinToCpu(std::uint32_t cpu) {
  absl::StatusOr<std::vector<std::uint32_t>> cpus = UsableCpus();
  if (!cpus.ok()) return cpus.status();
  if (std::find(cpus->begin(), cpus->end(), cpu) == cpus->end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot pin to CPU ", cpu,
                     ": it does not exist or is not allowed here. Allowed: ",
                     absl::StrJoin(*cpus, ", ")));
  }
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  if (sched_setaffinity(0, sizeof(only), &only) != 0) {
    return ErrnoStatus(errno, absl::StrCat("pinning to CPU ", cpu),
                       "choose another with --cpu");
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
