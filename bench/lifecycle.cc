// What making and ending a VM costs through the backend `kvm`, against the same
// calls made by hand in C: the same memory, slot, CPUID, reserved pages and TSC
// offset, one vCPU, a guest of one OUT in real mode. By hand there are no
// engine counters (KVM_GET_STATS_FD): those are the backend's own expense.
//
// Three take turns: by hand, through the backend, and by hand once more, which
// shows how far apart two equal ways seem to be.

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bare_loop.h"
#include "bench/deadline.h"
#include "bench/exit_text.h"
#include "bench/kvm_program.h"
#include "bench/statistics.h"
#include "bench/tsc.h"
#include "core/host/errno_status.h"
#include "guests/layout.h"

namespace worldswitch {
namespace {

constexpr std::int64_t kIterations = 500;
constexpr int kWarmUp = 10;
constexpr unsigned kDeadlineSeconds = 120;

constexpr std::uint8_t kGuest[] = {0xe6, WS_PORT_TEST, 0xf4};  // out; hlt
constexpr std::uint64_t kStart = WS_CODE;
constexpr std::uint64_t kStack = 0x1000;  // not used

enum Way : std::uint8_t { kByHand, kBackend, kByHandAgain, kWays };

struct Life {
  std::int64_t to_first_exit;  // ticks
  std::int64_t teardown;       // ticks
};

std::int64_t Now() { return static_cast<std::int64_t>(ReadTsc()); }

absl::StatusOr<Life> LiveByHand(const WsBareSystem* system) {
  std::uint64_t stamp = 0;
  WsBareBlock block = {.wanted = 1, .seen = 0, .stamps = &stamp};
  const std::int64_t start = Now();
  WsBareVm* vm = ws_bare_vm_create(system, WS_MEMORY_BYTES);
  if (vm == nullptr) return ErrnoStatus(errno, "making a VM in C");
  std::memcpy(static_cast<std::byte*>(ws_bare_vm_memory(vm)) + kStart, kGuest,
              sizeof(kGuest));
  const bool ran = ws_bare_vm_start(vm, kWsBareReal, kStart, kStack) == 0 &&
                   ws_bare_run(vm, &block) == 0;
  const std::int64_t first_exit = Now();
  ws_bare_vm_destroy(vm);
  const std::int64_t end = Now();
  if (!ran) return absl::InternalError("the VM made in C does not run");
  return Life{first_exit - start, end - first_exit};
}

// As set_real_mode of bare_loop.c has it.
void SetRealMode(RegisterFile* registers) {
  registers->general = {};
  registers->general.rip = kStart;
  registers->general.rsp = kStack;
  registers->general.rflags = 2;
  const Segment data = {
      .base = 0, .limit = 0xffff, .access_rights = 0x93, .selector = 0};
  SpecialRegisters& special = registers->special;
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.cs = data;
  special.cs.access_rights = 0x9b;
  special.ss.base = WS_CODE_LIMIT;
  special.ss.selector = WS_CODE_LIMIT >> 4;
  special.idtr = {.base = 0, .limit = 0x3ff};
  special.cr0 = 0x10;
  special.cr3 = special.cr4 = special.efer = 0;
  registers->dirty = kAllRegisters;
}

absl::StatusOr<Life> LiveInBackend(Backend& backend) {
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  const std::int64_t start = Now();
  absl::StatusOr<std::unique_ptr<Vm>> vm = backend.CreateVm(config);
  if (!vm.ok()) return vm.status();
  std::memcpy((*vm)->memory().host + kStart, kGuest, sizeof(kGuest));
  VcpuOps& vcpu = (*vm)->vcpu(0);
  const Result fetched = vcpu.fetch_registers(kAllRegisters);
  SetRealMode(&vcpu.registers());
  const Exit exit = vcpu.run();
  const std::int64_t first_exit = Now();
  const bool right = fetched == Result::kOk && exit.reason == ExitReason::kIo;
  vm->reset();
  const std::int64_t end = Now();
  if (!right) {
    return absl::InternalError(
        absl::StrCat("the first exit is not the guest's OUT: ",
                     ExitReasonName(exit.reason)));
  }
  return Life{first_exit - start, end - first_exit};
}

struct BareSystemCloser {
  void operator()(WsBareSystem* system) const { ws_bare_system_close(system); }
};

// The ticks of many lives, by way.
class Lives {
 public:
  void Add(Way way, const Life& life) {
    to_first_exit_[way].push_back(life.to_first_exit);
    teardown_[way].push_back(life.teardown);
  }
  double ToFirstExit(Way way) const { return MedianOf(to_first_exit_[way]); }
  double Teardown(Way way) const { return MedianOf(teardown_[way]); }

 private:
  static double MedianOf(const std::vector<std::int64_t>& ticks) {
    return Distribution(ticks).median();
  }
  std::array<std::vector<std::int64_t>, kWays> to_first_exit_;
  std::array<std::vector<std::int64_t>, kWays> teardown_;
};

// One iteration is a life each way; the time is that of the backend's creation
// up to the first exit.
void Lifecycle(benchmark::State& state, KvmProgram& program) {
  const Deadline deadline(kDeadlineSeconds, "lifecycle");
  const std::unique_ptr<WsBareSystem, BareSystemCloser> system(
      ws_bare_system_open());
  if (system == nullptr) {
    state.SkipWithError("/dev/kvm cannot be opened from C");
    return;
  }
  const auto live = [&](int way) {
    return way == kBackend ? LiveInBackend(*program.backend)
                           : LiveByHand(system.get());
  };
  for (int i = 0; i < kWarmUp * kWays; ++i) {
    if (!live(i % kWays).ok()) break;  // and again below, where it is told
  }
  Lives lives;
  int round = 0;
  for (auto _ : state) {
    ++round;
    for (int turn = 0; turn < kWays; ++turn) {
      const int place = round % 2 == 0 ? turn : kWays - 1 - turn;
      const auto way = static_cast<Way>((place + round / 2) % kWays);
      absl::StatusOr<Life> life = live(way);
      if (!life.ok()) {
        state.SkipWithError(std::string(life.status().message()).c_str());
        return;
      }
      lives.Add(way, *life);
      if (way == kBackend) {
        state.SetIterationTime(
            program.Seconds(static_cast<double>(life->to_first_exit)));
      }
    }
  }
  state.SetLabel(program.engine);
  const double create = lives.ToFirstExit(kByHand);
  const double teardown = lives.Teardown(kByHand);
  state.counters["bare_create_ticks"] = create;
  state.counters["create_ticks"] = lives.ToFirstExit(kBackend);
  state.counters["ratio_create_to_first_exit"] =
      lives.ToFirstExit(kBackend) / create;
  state.counters["ratio_create_bare_bare"] =
      lives.ToFirstExit(kByHandAgain) / create;
  state.counters["bare_teardown_ticks"] = teardown;
  state.counters["teardown_ticks"] = lives.Teardown(kBackend);
  state.counters["ratio_teardown"] = lives.Teardown(kBackend) / teardown;
  state.counters["ratio_teardown_bare_bare"] =
      lives.Teardown(kByHandAgain) / teardown;
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  using worldswitch::KvmProgram;
  return worldswitch::RunKvmProgram(argc, argv, [](KvmProgram& program) {
    worldswitch::AddBenchmark("lifecycle", worldswitch::kIterations,
                              [&program](benchmark::State& state) {
                                worldswitch::Lifecycle(state, program);
                              });
  });
}
