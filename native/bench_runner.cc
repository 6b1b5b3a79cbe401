#include "native/bench_runner.h"

#include <new>

#include "bench/one_out_guest.h"
#include "bench/tsc.h"
#include "native/console.h"
#include "native/guest_measurement.h"
#include "native/log_format.h"

namespace worldswitch::native {
namespace {

constexpr GuestMode kModes[] = {GuestMode::kReal, GuestMode::kRing0,
                                GuestMode::kRing3};

// Only the guard and the CPU's own run limit interrupt a run here, so a run
// that is interrupted is over.
constexpr std::atomic<bool> kStop = true;

// HostStep::kRunAnotherVm.
class OtherVmStep final : public ExitStep {
 public:
  OtherVmStep(VmOps& vm, GuestMode mode)
      : vcpu_(vm.vcpu(0)),
        ready_(LoadOneOutGuest(vm, 0, mode) == Result::kOk) {}
  bool ready() const { return ready_; }
  bool Take() override {
    const Exit exit = vcpu_.run();
    BackendResumes(vcpu_, exit);
    return IsOneOut(exit);
  }

 private:
  VcpuOps& vcpu_;
  const bool ready_;
};

const char* ModeText(const Scenario& scenario, GuestMode mode) {
  return scenario.kind == ScenarioKind::kHostCall ? "-" : GuestModeName(mode);
}

}  // namespace

BenchRunner::BenchRunner(VmMaker& maker, const HostServices& host,
                         const Options& options)
    : maker_(maker),
      host_(host),
      options_(options),
      repetition_(host, GuestMeasurement::MostSamples(options.samples)),
      driver_pages_(host, (sizeof(BlockDriver) + kPageBytes - 1) / kPageBytes) {
}

bool BenchRunner::Check(TextView* unmatched) const {
  for (std::size_t i = 0; i < options_.scenarios.size; ++i) {
    bool found = false;
    for (const Scenario& scenario : AllScenarios()) {
      found = found || GlobMatches(options_.scenarios.items[i], scenario.name);
    }
    if (found) continue;
    *unmatched = options_.scenarios.items[i];
    return false;
  }
  return true;
}

bool BenchRunner::Selected(const Scenario& scenario) const {
  // KVM's own rows are no rows of the image; who names one is told so.
  if (options_.scenarios.size == 0) {
    return scenario.place != ScenarioPlace::kKvm;
  }
  for (std::size_t i = 0; i < options_.scenarios.size; ++i) {
    const TextView glob = options_.scenarios.items[i];
    if (!GlobMatches(glob, scenario.name)) continue;
    if (scenario.place != ScenarioPlace::kKvm || Equal(glob, scenario.name)) {
      return true;
    }
  }
  return false;
}

void BenchRunner::Run(BlockLoop loop) {
  loop_ = loop;
  console.Left("scenario, median ticks of a round trip", 42);
  console.Text("    total      net    batch    exits").End();
  for (const Scenario& scenario : AllScenarios()) {
    if (!Selected(scenario)) continue;
    if (scenario.kind == ScenarioKind::kHostCall) {
      RunRow(scenario, GuestMode::kReal);
      continue;
    }
    for (const GuestMode mode : kModes) {
      if (options_.has_mode && mode != options_.mode) continue;
      RunRow(scenario, mode);
    }
  }
}

const char* BenchRunner::WhyNotHere(const Scenario& scenario) {
  if (scenario.place == ScenarioPlace::kKvm) {
    return "KVM's own: without KVM there is nothing like it";
  }
  switch (scenario.kind) {
    case ScenarioKind::kKick:
    case ScenarioKind::kPeerVcpu:
    case ScenarioKind::kPeerIrq:
    case ScenarioKind::kParallel:
      return "it takes a second thread, and the image runs one CPU without any";
    case ScenarioKind::kHostCall:
      return scenario.host_call == nullptr ? "ring 0 has no system calls"
                                           : nullptr;
    case ScenarioKind::kGuest:
      break;
  }
  return scenario.host_step == HostStep::kMoveToAnotherCpu
             ? "the image runs one CPU"
             : nullptr;
}

void BenchRunner::RunRow(const Scenario& scenario, GuestMode mode) {
  console.Text(native_log::kRow).Text(" ").Text(scenario.name).Text(" ");
  console.Text(ModeText(scenario, mode)).End();
  Refusal refusal;
  const char* why = WhyNotHere(scenario);
  if (why == nullptr && scenario.kind != ScenarioKind::kHostCall) {
    why = WhyNotInMode(scenario, mode);
  }
  bool measured = false;
  for (std::uint32_t i = 0; why == nullptr && i < options_.repetitions; ++i) {
    NativeVm* vm = maker_.Make({.memory_bytes = scenario.memory_bytes},
                               scenario.knobs, &why);
    if (vm == nullptr) break;
    if (scenario.needs != Capability::kCount && !vm->has(scenario.needs)) {
      refusal.text.Append("the backend does not offer ")
          .Append(CapabilityName(scenario.needs));
      measured = false;
    } else {
      measured = scenario.kind == ScenarioKind::kHostCall
                     ? MeasureHostCall(scenario, *vm, &refusal)
                     : MeasureGuest(scenario, mode, *vm, &refusal);
    }
    maker_.Destroy(vm);
    if (!measured) break;
    LogRepetition(repetition_);
  }
  if (!measured) {
    if (why != nullptr) refusal.text.Append(why);
    console.Text(native_log::kWhy).Text(" ").Text(refusal.verdict).Text(" ");
    console.Text(refusal.text.c_str()).End();
  }
  console.Text(native_log::kEnd).End();
  if (measured) {
    PrintRepetition(scenario.name, ModeText(scenario, mode), repetition_);
  }
}

bool BenchRunner::MeasureGuest(const Scenario& scenario, GuestMode mode,
                               NativeVm& vm, Refusal* refusal) {
  if (!driver_pages_ || repetition_.samples() == nullptr ||
      repetition_.control() == nullptr) {
    refusal->text.Append("the machine has too little memory for the samples");
    return false;
  }
  auto* driver =
      new (driver_pages_.as<void>()) BlockDriver(vm, scenario, kStop);
  if (loop_ != nullptr) driver->set_loop(loop_);
  const bool measured = MeasureOn(*driver, scenario, mode, vm, refusal);
  driver->~BlockDriver();
  return measured;
}

bool BenchRunner::MeasureOn(BlockDriver& driver, const Scenario& scenario,
                            GuestMode mode, NativeVm& vm, Refusal* refusal) {
  GuestMeasurement measurement(driver, vm, scenario, mode);
  if (scenario.host_step != HostStep::kRunAnotherVm) {
    const bool measured =
        measurement.Measure(options_.samples, &repetition_, refusal);
    if (!measured && driver.last_exit().reason == ExitReason::kEntryFailure) {
      vm.DumpState(0, host_);
    }
    return measured;
  }
  const char* why = "";
  NativeVm* other = maker_.Make({.memory_bytes = scenario.memory_bytes},
                                scenario.knobs, &why);
  if (other == nullptr) {
    refusal->text.Append("the other VM: ").Append(why);
    return false;
  }
  bool measured = false;
  {
    OtherVmStep step(*other, mode);
    if (step.ready()) {
      driver.set_step(&step);
      measured = measurement.Measure(options_.samples, &repetition_, refusal);
      driver.set_step(nullptr);
    } else {
      refusal->text.Append("the backend refuses the other VM's registers");
    }
  }
  maker_.Destroy(other);
  return measured;
}

bool BenchRunner::MeasureHostCall(const Scenario& scenario, NativeVm& vm,
                                  Refusal* refusal) {
  VcpuOps& vcpu = vm.vcpu(0);
  repetition_.Clear();
  repetition_.has_legs = false;
  std::uint32_t wrong = 0;
  const std::uint32_t count = repetition_.most();
  for (std::uint32_t i = 0; i < count; ++i) {
    Sample sample = {};
    if (scenario.host_prepare != nullptr) scenario.host_prepare(vcpu);
    sample.g0 = static_cast<std::int64_t>(ReadTsc());
    const bool right = scenario.host_call(vcpu);
    sample.g3 = static_cast<std::int64_t>(ReadTscEnd(&sample.cpu));
    wrong += right ? 0 : 1;
    repetition_.samples()[repetition_.sample_count++] = sample;
    std::uint32_t cpu = 0;
    const auto start = static_cast<std::int64_t>(ReadTsc());
    repetition_.control()[repetition_.control_count++] =
        static_cast<std::int64_t>(ReadTscEnd(&cpu)) - start;
  }
  if (wrong == 0) return true;
  refusal->verdict = "unproven";
  refusal->text.AppendDecimal(wrong).Append(" of ").AppendDecimal(count).Append(
      " calls gave a wrong result");
  return false;
}

}  // namespace worldswitch::native
