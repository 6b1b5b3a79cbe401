#include "native/path_runner.h"

#include "bench/block_driver.h"
#include "core/features/processor_controls.h"
#include "core/text_line.h"
#include "native/guest_measurement.h"
#include "native/log_writer.h"
#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kIterations = 100;

struct Path {
  const char* name;
  const char* scenario;  // whose payload, and set-up, it takes
};
constexpr Path kPaths[] = {{"cpuid", "native/cpuid"},
                           {"hypercall", "native/hypercall"},
                           {"pio_out", "user/pio_out"}};

const Scenario* ScenarioByName(const char* name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (Equal(scenario.name, name)) return &scenario;
  }
  return nullptr;
}

Exit VirtualLoop(VcpuOps& vcpu, VcpuContext& context, PathHandler& handler) {
  return vcpu_enter_guest<VcpuOps, ExitHandler>(vcpu, context, handler);
}

void Store32(std::byte* to, std::uint32_t value) {
  __builtin_memcpy(to, &value, sizeof(value));
}

std::int64_t Load64(const std::byte* from) {
  std::int64_t value = 0;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

// What a block's iterations took; negative: it did not end as it should.
std::int64_t BlockTicks(VmOps& vm, PathLoop loop, BlockCommand command,
                        TextLine* text) {
  std::byte* const memory = vm.memory().host;
  Store32(memory + WS_MAILBOX_COMMAND, static_cast<std::uint32_t>(command));
  Store32(memory + WS_MAILBOX_COUNT, kIterations);
  VcpuContext context;
  PathHandler handler;
  const KickHandle handle = vm.vcpu(0).kick_handle();
  run_guard.Begin(handle);
  const Exit exit = loop(vm.vcpu(0), context, handler);
  run_guard.End();
  if (!handler.done()) {
    DescribeExit(exit, text);
    return -1;
  }
  return Load64(memory + WS_MAILBOX_END) - Load64(memory + WS_MAILBOX_START);
}

bool Measure(VmMaker& maker, const Scenario& scenario, PathLoop loop,
             std::int64_t* ticks, TextLine* text) {
  const char* why = "";
  NativeVm* vm =
      maker.Make({.memory_bytes = scenario.memory_bytes}, nullptr, &why);
  if (vm == nullptr) {
    text->Append(why);
    return false;
  }
  const GuestSetup setup = {
      .payload = PayloadOf(scenario),
      .mode = GuestMode::kRing0,
      .arguments = {scenario.arguments[0], scenario.arguments[1]}};
  bool measured = LoadGuest(*vm, 0, setup) == Result::kOk &&
                  (scenario.prepare == nullptr || scenario.prepare(*vm));
  if (!measured) text->Append("the VM cannot be set up for it");
  std::int64_t with = 0;
  std::int64_t without = 0;
  // The first block of each warms up.
  for (int i = 0; measured && i < 2; ++i) {
    with = BlockTicks(*vm, loop, BlockCommand::kBatch, text);
    without = with < 0
                  ? -1
                  : BlockTicks(*vm, loop, BlockCommand::kBatchControl, text);
    measured = with >= 0 && without >= 0;
  }
  maker.Destroy(vm);
  *ticks = (with - without) / kIterations;
  return measured;
}

void Report(const char* name, const char* loop_name, VmMaker& maker,
            const Scenario& scenario, PathLoop loop) {
  TextLine key;
  key.Append("path.").Append(name).Append(".").Append(loop_name);
  TextLine text;
  std::int64_t ticks = 0;
  if (Measure(maker, scenario, loop, &ticks, &text)) {
    LogInfo(key.c_str(), static_cast<std::uint64_t>(ticks));
  } else {
    TextLine why;
    LogInfo(key.c_str(), why.Append("- ").Append(text.c_str()).c_str());
  }
}

}  // namespace

void RunPath(VmMaker& maker, PathLoop final_loop) {
  for (const Path& path : kPaths) {
    const Scenario* scenario = ScenarioByName(path.scenario);
    if (scenario == nullptr) continue;
    Report(path.name, "virtual", maker, *scenario, VirtualLoop);
    if (final_loop != nullptr) {
      Report(path.name, "final", maker, *scenario, final_loop);
    }
  }
}

}  // namespace worldswitch::native
