// The image's first function: sets the machine up, finds the vendor, does what
// the command line says.

#include <cstdint>

#include "backends/native/native_backend.h"
#include "native/activity.h"
#include "native/bench_runner.h"
#include "native/boot_information.h"
#include "native/chain_check.h"
#include "native/check_log.h"
#include "native/checks.h"
#include "native/command_line.h"
#include "native/conformance_runner.h"
#include "native/console.h"
#include "native/cpu.h"
#include "native/final_loops.h"
#include "native/image_host.h"
#include "native/interrupts.h"
#include "native/log_format.h"
#include "native/log_writer.h"
#include "native/machine_end.h"
#include "native/page_checks.h"
#include "native/path_runner.h"
#include "native/random_runner.h"
#include "native/run_guard.h"
#include "native/text.h"
#include "native/tsc_report.h"
#include "native/vm_maker.h"

namespace worldswitch::native {
namespace {

constinit BootInformation boot_information;

class ConsoleReport final : public ReportSink {
 public:
  void Fact(const char* key, const char* text) override { LogInfo(key, text); }
};

// What CPUID says in registers' worth of characters.
class CpuText {
 public:
  static CpuText Vendor() {
    const CpuidLeaf leaf = Cpuid(0);
    const std::uint32_t parts[] = {leaf.ebx, leaf.edx, leaf.ecx};
    CpuText text;
    __builtin_memcpy(text.text_, parts, sizeof(parts));
    return text;
  }
  // The brand string, without blanks behind it; empty where the CPU has none.
  static CpuText Brand() {
    constexpr std::uint32_t kFirst = 0x80000002;
    constexpr std::uint32_t kLeaves = 3;
    CpuText text;
    if (Cpuid(0x80000000).eax < kFirst + kLeaves - 1) return text;
    for (std::uint32_t i = 0; i < kLeaves; ++i) {
      const CpuidLeaf leaf = Cpuid(kFirst + i);
      __builtin_memcpy(text.text_ + i * sizeof(leaf), &leaf, sizeof(leaf));
    }
    for (std::size_t end = Length(text.text_);
         end > 0 && text.text_[end - 1] == ' '; --end) {
      text.text_[end - 1] = 0;
    }
    return text;
  }
  // Without the blanks in front that some brands have.
  const char* c_str() const {
    const char* first = text_;
    while (*first == ' ') ++first;
    return first;
  }

 private:
  char text_[49] = "";
};

// What the CPU is, and whether it is one. False: an emulator, whose ticks are
// instructions or whatever else it takes for time. QEMU's own answers so (TCG)
// whether it counts instructions or not; under KVM it answers KVM's.
bool ReportCpu() {
  LogInfo("vendor", CpuText::Vendor().c_str());
  LogInfo("cpu", CpuText::Brand().c_str());
  if (IsBochs()) {
    LogInfo("emulator", "Bochs");
    return false;
  }
  constexpr std::uint32_t kHypervisor = 1u << 31;  // CPUID.01H:ECX
  if ((Cpuid(1).ecx & kHypervisor) == 0) return true;
  const CpuidLeaf leaf = Cpuid(0x40000000);
  const std::uint32_t signature[] = {leaf.ebx, leaf.ecx, leaf.edx, 0};
  const auto* const name = reinterpret_cast<const char*>(signature);
  const bool emulated = Equal(name, "TCGTCGTCGTCG");
  LogInfo(emulated ? "emulator" : "hypervisor", *name != 0 ? name : "unnamed");
  return !emulated;
}

[[noreturn]] void EndWithUsage(const UsageError& error) {
  console.Text("usage: ");
  if (error.word.size != 0) {
    console.Put('\'').Text(error.word.data, error.word.size).Text("': ");
  }
  console.Text(error.what).End();
  console.Text(
      "commands: report, bench, path, conformance, failures, random, ");
  console.Text("exception").End();
  EndMachine(native_log::kDoneUsage);
}

[[noreturn]] void EndWithoutEngine(const char* who, const char* why) {
  console.Text(who).Text(": ").Text(why).End();
  EndMachine(native_log::kDoneNoEngine);
}

NativeBackend& FindBackend() {
  NativeBackend* const both[] = {&NativeVmxBackend(), &NativeSvmBackend()};
  const char* why = "";
  for (NativeBackend* backend : both) {
    if (backend->Supported(&why)) return *backend;
  }
  for (NativeBackend* backend : both) {
    backend->Supported(&why);
    console.Text(backend->name()).Text(": ").Text(why).End();
  }
  EndWithoutEngine("this CPU", "neither VMX nor SVM can be used");
}

void SetKnobs(VmMaker& maker, const Options& options) {
  for (std::size_t i = 0; i < options.knobs.size; ++i) {
    const TextView knob = options.knobs.items[i];
    switch (maker.SetKnob(knob)) {
      case KnobParse::kOk:
        break;
      case KnobParse::kNoSuchKnob:
        EndWithUsage({.word = knob, .what = "this backend has no such knob"});
      case KnobParse::kBadValue:
        EndWithUsage({.word = knob, .what = "the knob takes no such value"});
    }
  }
  const NativeKnobTable& table = maker.knobs().table();
  for (std::size_t i = 0; i < table.size; ++i) {
    TextLine key;
    key.Append("knob.").Append(table.knobs[i].name);
    const std::uint64_t value = maker.knobs().value(i);
    if (table.knobs[i].choices[0] != nullptr) {
      LogInfo(key.c_str(), table.knobs[i].choices[value]);
    } else {
      LogInfo(key.c_str(), value);
    }
  }
}

// False: something failed.
bool DoCommands(NativeBackend& backend, const Options& options) {
  VmMaker maker(backend);
  SetKnobs(maker, options);
  const FinalLoops final_loops = FinalLoopsOf(backend);
  bool good = true;
  if (options.bench) {
    SetActivity("bench", 0);
    BenchRunner runner(maker, kImageHost, options);
    TextView unmatched;
    if (!runner.Check(&unmatched)) {
      EndWithUsage(
          {.word = unmatched, .what = "no scenario of ring 0 matches"});
    }
    LogInfo("loop", options.final_loop ? "final" : "virtual");
    runner.Run(options.final_loop ? final_loops.block : nullptr);
  }
  // The default set has the loop's own path with it.
  if (options.path || (options.bench && options.scenarios.size == 0)) {
    SetActivity("path", 0);
    RunPath(maker, final_loops.path);
  }
  if (options.conformance) {
    good = RunConformance(maker, options).failed == 0 && good;
  }
  CheckLog checks;
  if (options.failures) {
    SetActivity("failures", 0);
    if (&backend == &NativeVmxBackend()) {
      RunVmxFailureChecks(backend, kImageHost, checks);
    } else {
      RunSvmFailureChecks(backend, kImageHost, checks);
    }
    RunPageChecks(maker, checks);
    RunChainCheck(maker, checks);
  }
  if (options.random) {
    RunRandomGuests(maker, kImageHost, options.runs, options.seed, checks);
  }
  return good && checks.failed() == 0;
}

[[noreturn]] void Main(std::uint32_t magic, std::uint32_t information) {
  console.Open();
  SetUpInterrupts();
  // Behind whatever the firmware left on the line.
  console.End().Text(native_log::kBegin).Text(" ");
  console.Decimal(native_log::kVersion).End();
  if (!boot_information.Read(magic, information)) {
    console.Text("not booted by a multiboot loader: eax was ").Hex(magic).End();
    EndMachine(native_log::kDoneUsage);
  }
  SetShutdownPort(boot_information.own_rom());
  SetUpMemory(boot_information);
  run_guard.SetUp();
  const bool ticks_are_time = ReportCpu();
  LogInfo("memory_kib", Pages().free_pages() * kPageBytes / 1024);
  Options options;
  UsageError error;
  if (!ParseCommandLine(boot_information.command_line(), &options, &error)) {
    EndWithUsage(error);
  }
  if (options.exception) {
    SetActivity("exception", 0);
    asm volatile("ud2");
  }
  ReportTsc(ticks_are_time);
  NativeBackend& backend = FindBackend();
  LogInfo("backend", backend.name());
  const char* why = "";
  if (!backend.Enable(kImageHost, &why)) {
    EndWithoutEngine(backend.name(), why);
  }
  ConsoleReport report;
  backend.Report(report);
  const std::uint64_t pages = Pages().free_pages();
  const bool good = DoCommands(backend, options);
  const bool leaked = Pages().free_pages() != pages;
  if (leaked) {
    console.Text("pages were not given back: ");
    console.Decimal(pages - Pages().free_pages()).End();
  }
  backend.Disable();
  EndMachine(good && !leaked ? native_log::kDoneOk : native_log::kDoneFailed);
}

}  // namespace
}  // namespace worldswitch::native

extern "C" [[noreturn]] void ws_main(std::uint32_t magic,
                                     std::uint32_t information);
void ws_main(std::uint32_t magic, std::uint32_t information) {
  worldswitch::native::Main(magic, information);
}
