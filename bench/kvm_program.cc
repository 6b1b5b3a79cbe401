#include "bench/kvm_program.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/session.h"
#include "core/host/fingerprint.h"
#include "core/host/lab_environment.h"

namespace worldswitch {
namespace {

absl::StatusOr<std::unique_ptr<KvmBackend>> OpenKvm() {
  if (absl::Status usable = ProbeKvm(); !usable.ok()) return usable;
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
  if (!system.ok()) return system.status();
  return std::make_unique<KvmBackend>("kvm", *std::move(system), 0);
}

absl::Status Pin(std::uint32_t* cpu) {
  absl::StatusOr<std::uint32_t> chosen = DefaultCpu();
  if (!chosen.ok()) return chosen.status();
  *cpu = *chosen;
  return PinToCpu(*cpu);
}

const char* MeaningOf(KvmEngine engine) {
  switch (engine) {
    case KvmEngine::kIntel:
      return "VT-x";
    case KvmEngine::kAmd:
      return "SVM";
    case KvmEngine::kPvm:
      return "neither VT-x nor SVM";
    case KvmEngine::kUnknown:
      break;
  }
  return "not identified as VT-x or SVM";
}

}  // namespace

void AddBenchmark(const std::string& name, std::int64_t iterations,
                  std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(run))
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond)
      ->Iterations(iterations);
}

int RunKvmProgram(int argc, char** argv,
                  const std::function<void(KvmProgram&)>& add) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (ThisLab()) {
    std::fprintf(stderr,
                 "nothing to measure here: a lab counts instructions, and the "
                 "figures of this program are times; worldswitch bench counts "
                 "too\n");
    return 0;
  }
  absl::StatusOr<std::unique_ptr<KvmBackend>> backend = OpenKvm();
  if (!backend.ok()) {
    std::fprintf(stderr, "nothing to measure here: %s\n",
                 backend.status().ToString().c_str());
    return 0;
  }
  KvmProgram program;
  program.backend = *std::move(backend);
  program.engine = program.backend->engine();
  const Fingerprint fingerprint = ReadFingerprint();
  program.tsc_hz = fingerprint.tsc_hz;
  absl::StatusOr<std::vector<std::uint32_t>> cpus = UsableCpus();
  if (cpus.ok()) program.cpus = *std::move(cpus);
  absl::Status pinned = Pin(&program.cpu);
  if (program.tsc_hz <= 0) {
    pinned = absl::UnavailableError("the TSC's frequency is not known");
  }
  if (!pinned.ok()) {
    std::fprintf(stderr, "nothing to measure here: %s\n",
                 pinned.ToString().c_str());
    return 0;
  }
  benchmark::AddCustomContext("backend", program.backend->name());
  benchmark::AddCustomContext("engine", program.engine);
  benchmark::AddCustomContext("engine_is",
                              MeaningOf(program.backend->system().engine()));
  benchmark::AddCustomContext("unit", "ticks of the TSC");
  benchmark::AddCustomContext("tsc_hz",
                              absl::StrFormat("%.0f", fingerprint.tsc_hz));
  benchmark::AddCustomContext("cpu", fingerprint.ValueOf("cpu.model_name"));
  benchmark::AddCustomContext("kernel", fingerprint.ValueOf("kernel.release"));
  benchmark::AddCustomContext("fingerprint", fingerprint.hash);
  benchmark::AddCustomContext("pinned_to_cpu", absl::StrCat(program.cpu));
  add(program);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace worldswitch
