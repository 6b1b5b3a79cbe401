#include "bench/measure.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "bench/exit_text.h"
#include "bench/guest_repetition.h"
#include "bench/host_calls.h"
#include "bench/judge.h"
#include "bench/kicker.h"
#include "bench/parallel_vcpus.h"
#include "bench/tsc.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

absl::StatusOr<std::unique_ptr<Vm>> Measurer::CreateVm(
    const Scenario& scenario) {
  VmConfig config;
  config.needs.memory_bytes = scenario.memory_bytes;
  if (scenario.huge_pages) config.backing = MemoryBacking::kHuge;
  if (scenario.kind == ScenarioKind::kPeerVcpu) config.needs.vcpus = 2;
  if (scenario.kind == ScenarioKind::kParallel) {
    std::string why;
    config.needs.vcpus = ParallelVcpus(scenario, options_.cpus.size(), &why);
    if (config.needs.vcpus == 0) return absl::UnavailableError(why);
  }
  config.knobs = options_.knobs;
  if (scenario.knobs != nullptr) {
    KnobSettings own;
    for (const absl::string_view knob :
         absl::StrSplit(absl::string_view(scenario.knobs), ',')) {
      absl::Status parsed = ParseKnobSetting(knob, &own);
      if (!parsed.ok()) return parsed;
    }
    // The scenario's own knobs are what it is about.
    for (const auto& [name, value] : own) config.knobs[name] = value;
  }
  absl::Status fits = backend_.knobs().Check(config.knobs);
  if (!fits.ok()) return fits;
  return backend_.CreateVm(config);
}

void Measurer::MeasureOnce(Row& row) {
  if (row.verdict == Verdict::kUnsupported || row.verdict == Verdict::kHangs) {
    return;
  }
  if (row.scenario->needs_two_cpus && options_.cpus.size() < 2) {
    Refuse(row, Verdict::kUnsupported,
           "only one CPU may be used here, and the guest's peer needs another");
    return;
  }
  absl::StatusOr<std::unique_ptr<Vm>> vm = CreateVm(*row.scenario);
  if (!vm.ok()) {
    Refuse(row, Verdict::kUnsupported, std::string(vm.status().message()));
    return;
  }
  const Capability needs = row.scenario->needs;
  if (needs != Capability::kCount && !(*vm)->has(needs)) {
    Refuse(row, Verdict::kUnsupported,
           absl::StrCat("the engine does not offer ", CapabilityName(needs)));
    return;
  }
  switch (row.scenario->kind) {
    case ScenarioKind::kGuest:
    case ScenarioKind::kPeerVcpu:
    case ScenarioKind::kPeerIrq:
    case ScenarioKind::kParallel:
      MeasureGuest(row, **vm);
      break;
    case ScenarioKind::kKick:
      MeasureKick(row, **vm);
      break;
    case ScenarioKind::kHostCall:
      MeasureHostCall(row, **vm);
      break;
  }
}

void Measurer::MeasureGuest(Row& row, Vm& vm) {
  std::unique_ptr<Vm> other;
  if (row.scenario->host_step == HostStep::kRunAnotherVm) {
    absl::StatusOr<std::unique_ptr<Vm>> made = CreateVm(*row.scenario);
    if (!made.ok()) {
      Refuse(row, Verdict::kUnsupported, std::string(made.status().message()));
      return;
    }
    other = *std::move(made);
  }
  GuestRepetition(row, vm, other.get(), watchdog_, noise_, options_).Measure();
}

void Measurer::MeasureHostCall(Row& row, Vm& vm) {
  const HostCall call = HostCallOf(*row.scenario);
  if (call == nullptr) {
    Refuse(row, Verdict::kUnsupported, "no such call on this host");
    return;
  }
  VcpuOps& vcpu = vm.vcpu(0);
  Repetition repetition;
  const std::uint32_t blocks =
      (options_.samples + kBlockIterations - 1) / kBlockIterations;
  std::uint64_t wrong = 0;
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (watchdog_.stopped()) return;
    const NoiseReading before = noise_.Read();
    for (std::uint32_t i = 0; i < kBlockIterations; ++i) {
      Sample sample = {};
      if (row.scenario->host_prepare != nullptr) {
        row.scenario->host_prepare(vcpu);
      }
      sample.g0 = static_cast<std::int64_t>(ReadTsc());
      const bool right = call(vcpu);
      sample.g3 = static_cast<std::int64_t>(ReadTscEnd(&sample.cpu));
      wrong += right ? 0 : 1;
      repetition.samples.push_back(sample);
    }
    const std::uint8_t flags = FlagsOf(Difference(before, noise_.Read()));
    for (std::uint32_t i = 0; i < kBlockIterations; ++i) {
      const std::uint32_t cpu = repetition.samples[repetition.flags.size()].cpu;
      unsigned own = flags;
      if (cpu != (options_.cpu & 0xfff)) own |= kMigrated;
      repetition.flags.push_back(static_cast<std::uint8_t>(own));
      std::uint32_t ignored = 0;
      const auto start = static_cast<std::int64_t>(ReadTsc());
      repetition.control.push_back(
          static_cast<std::int64_t>(ReadTscEnd(&ignored)) - start);
    }
  }
  RepetitionFacts facts;
  facts.samples = repetition.samples.size();
  facts.undelivered = wrong;
  JudgeRepetition(row, facts);
  row.repetitions.push_back(std::move(repetition));
}

void Measurer::MeasureKick(Row& row, Vm& vm) {
  const std::uint32_t blocks =
      (options_.samples + kBlockIterations - 1) / kBlockIterations;
  GuestSetup setup;
  setup.payload = row.scenario->payload;
  setup.mode = *row.mode;
  // Bochs 2.7 lets no host interrupt into a guest that is entered with
  // RFLAGS.IF clear, so none that spins would come back there.
  setup.interrupts_on = true;
  if (LoadGuest(vm, 0, setup) != Result::kOk) {
    Refuse(row, Verdict::kUnsupported,
           absl::StrCat("the engine refuses this mode's registers: ",
                        ErrnoName(vm.vcpu(0).last_error())));
    return;
  }
  // The spin payload reads its mailbox once; any command makes it spin.
  VcpuOps& vcpu = vm.vcpu(0);
  Kicker kicker(vcpu.kick_handle());
  watchdog_.Watch(vcpu.kick_handle());
  Repetition repetition;
  std::uint64_t other = 0;
  const Clock::time_point deadline = Clock::now() + options_.budget;
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (watchdog_.stop()) break;
    if (block > 0 && Clock::now() > deadline) break;
    const NoiseReading before = noise_.Read();
    const std::size_t first = repetition.samples.size();
    for (std::uint32_t i = 0; i < kBlockIterations; ++i) {
      kicker.Arm();
      Exit exit = vcpu.run();
      Sample sample = {};
      sample.g3 = static_cast<std::int64_t>(ReadTscEnd(&sample.cpu));
      // Only the peer's kick counts; another signal is waited out.
      while (exit.reason == ExitReason::kInterrupted && !kicker.kicked() &&
             !watchdog_.stop()) {
        exit = vcpu.run();
        sample.g3 = static_cast<std::int64_t>(ReadTscEnd(&sample.cpu));
        sample.interrupted = true;
      }
      if (exit.reason != ExitReason::kInterrupted) {
        watchdog_.Unwatch();
        Refuse(row, Verdict::kUnsupported, DescribeExit(exit, vm));
        return;
      }
      if (watchdog_.stop()) break;
      sample.g0 = kicker.WaitForTime();
      if (sample.g0 > sample.g3) ++other;
      repetition.samples.push_back(sample);
    }
    watchdog_.Progress();
    const std::uint8_t flags = FlagsOf(Difference(before, noise_.Read()));
    for (std::size_t i = first; i < repetition.samples.size(); ++i) {
      unsigned own = flags;
      if (repetition.samples[i].cpu != (options_.cpu & 0xfff)) own |= kMigrated;
      if (repetition.samples[i].interrupted) own |= kSignalled;
      repetition.flags.push_back(static_cast<std::uint8_t>(own));
    }
  }
  if (watchdog_.Unwatch()) {
    Refuse(row, Verdict::kHangs, "a kick did not end the run");
    return;
  }
  if (watchdog_.stopped()) return;
  const std::size_t kicks = repetition.samples.size();
  if (other > 0) {
    Judge(row, Verdict::kUnproven,
          absl::StrCat(other, " of ", kicks, " returns came before the kick"),
          "");
  } else {
    Judge(row, Verdict::kProven, "",
          absl::StrCat(kicks, " kicks, ", kicks, " returns"));
  }
  row.repetitions.push_back(std::move(repetition));
}

}  // namespace worldswitch
