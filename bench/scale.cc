// How exits scale on /dev/kvm: with vCPUs of one VM, with VMs, with 200 VMs
// alive, with memory slots, with devices on the bus.
//
//   scale/vcpus/N          N vCPUs of one VM, a thread and (where there are so
//                          many) a CPU each, all doing OUT: exits a second of
//                          all of them
//   scale/vms/N            N VMs of one vCPU each, the same way
//   scale/alive/N          N VMs alive in this process, run in turns, one exit
//                          each: what an exit in one of many costs
//   scale/slots/N/ACCESS   one vCPU in a VM of N memory slots; ACCESS: an OUT,
//                          or a store where no slot is, which has to be looked
//                          for
//   scale/devices/N        one vCPU, its OUTs served by one of N devices on a
//                          bus (core/host/bus.h)
//
// The time of an iteration is that of one exit: for `vcpus` and `vms` the time
// of all divided by the exits of all.

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/deadline.h"
#include "bench/exit_text.h"
#include "bench/kvm_program.h"
#include "bench/one_out_guest.h"
#include "bench/parallel_vcpus.h"
#include "bench/session.h"
#include "bench/statistics.h"
#include "bench/tsc.h"
#include "core/features/memory_slots.h"
#include "core/host/bus.h"
#include "core/host/errno_status.h"
#include "core/host/guest_memory.h"

namespace worldswitch {
namespace {

constexpr GuestMode kMode = GuestMode::kRing0;
constexpr unsigned kDeadlineSeconds = 120;
constexpr std::int64_t kRounds = 10;

std::int64_t Now() { return static_cast<std::int64_t>(ReadTsc()); }

absl::StatusOr<std::unique_ptr<KvmVm>> MakeVm(KvmProgram& program,
                                              std::uint32_t vcpus) {
  VmConfig config;
  config.needs = {.memory_bytes = WS_MEMORY_BYTES, .vcpus = vcpus};
  absl::StatusOr<std::unique_ptr<KvmVm>> vm =
      program.backend->CreateKvmVm(config);
  if (!vm.ok()) return vm.status();
  for (std::uint32_t i = 0; i < vcpus; ++i) {
    if (LoadOneOutGuest(**vm, i, kMode) != Result::kOk) {
      return ErrnoStatus((*vm)->vcpu(i).last_error(), "loading a guest");
    }
  }
  return vm;
}

void Skip(benchmark::State& state, const std::string& why) {
  state.SkipWithError(why.c_str());
}

// All exit side by side; what is asked is how many exits they make together.
void Throughput(benchmark::State& state, KvmProgram& program, std::uint32_t vms,
                std::uint32_t vcpus) {
  const Deadline deadline(kDeadlineSeconds, "scale: throughput");
  constexpr std::chrono::milliseconds kWindow(200);
  std::vector<std::unique_ptr<KvmVm>> machines;
  for (std::uint32_t i = 0; i < vms; ++i) {
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = MakeVm(program, vcpus);
    if (!vm.ok()) return Skip(state, std::string(vm.status().message()));
    machines.push_back(*std::move(vm));
  }
  const std::vector<std::uint32_t>& cpus = program.cpus;
  std::vector<std::unique_ptr<ExitingVcpu>> runners;
  for (const auto& vm : machines) {
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      const std::uint32_t cpu = cpus[runners.size() % cpus.size()];
      runners.push_back(
          std::make_unique<ExitingVcpu>(*vm, i, static_cast<int>(cpu)));
    }
  }
  const auto exits = [&runners] {
    std::uint64_t all = 0;
    for (const auto& runner : runners) all += runner->exits();
    return all;
  };
  std::this_thread::sleep_for(kWindow);
  std::vector<double> per_second;
  for (auto _ : state) {
    const std::uint64_t before = exits();
    const std::int64_t start = Now();
    std::this_thread::sleep_for(kWindow);
    const std::uint64_t made = exits() - before;
    const double seconds = program.Seconds(static_cast<double>(Now() - start));
    for (const auto& runner : runners) {
      if (runner->failed()) return Skip(state, runner->failure());
    }
    if (made == 0) return Skip(state, "no exit was made");
    state.SetIterationTime(seconds / static_cast<double>(made));
    per_second.push_back(static_cast<double>(made) / seconds);
  }
  state.SetLabel(program.engine);
  state.counters["exits_per_second"] = Median(per_second);
  state.counters["cpus"] = static_cast<double>(cpus.size());
}

// One vCPU's exits, in blocks; the median of an exit in each block is one
// iteration. serve: false where the exit is not the guest's.
template <typename Serve>
void TimeExits(benchmark::State& state, KvmProgram& program, VcpuOps& vcpu,
               const Serve& serve) {
  constexpr int kBlock = 200;
  std::vector<std::int64_t> all;
  for (auto _ : state) {
    std::vector<std::int64_t> ticks;
    for (int i = 0; i < kBlock; ++i) {
      const std::int64_t start = Now();
      Exit exit = vcpu.run();
      if (!serve(exit)) return Skip(state, DescribeExit(exit));
      ticks.push_back(Now() - start);
    }
    all.insert(all.end(), ticks.begin(), ticks.end());
    state.SetIterationTime(
        program.Seconds(Distribution(std::move(ticks)).median()));
  }
  state.SetLabel(program.engine);
  state.counters["ticks_per_exit"] = Distribution(std::move(all)).median();
}

// Every VM has run before anything is timed, and is seen to run in each round.
void Alive(benchmark::State& state, KvmProgram& program, std::uint32_t count) {
  const Deadline deadline(kDeadlineSeconds, "scale: VMs alive");
  std::vector<std::unique_ptr<KvmVm>> machines;
  for (std::uint32_t i = 0; i < count; ++i) {
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = MakeVm(program, 1);
    if (!vm.ok()) {
      return Skip(state, absl::StrCat("VM ", i + 1, " of ", count, ": ",
                                      vm.status().message()));
    }
    machines.push_back(*std::move(vm));
    if (!IsOneOut(machines.back()->vcpu(0).run())) {
      return Skip(state, absl::StrCat("VM ", i + 1, " does not run"));
    }
  }
  std::vector<std::int64_t> all;
  for (auto _ : state) {
    std::vector<std::int64_t> ticks;
    for (const auto& vm : machines) {
      const std::int64_t start = Now();
      const Exit exit = vm->vcpu(0).run();
      ticks.push_back(Now() - start);
      if (!IsOneOut(exit)) return Skip(state, DescribeExit(exit));
    }
    all.insert(all.end(), ticks.begin(), ticks.end());
    state.SetIterationTime(
        program.Seconds(Distribution(std::move(ticks)).median()));
  }
  state.SetLabel(program.engine);
  state.counters["ticks_per_exit"] = Distribution(std::move(all)).median();
  state.counters["vms"] = count;
}

// Slots of one page each, all of them the same page of the host, with a hole
// behind each; above 1 GiB, so that they are in nobody's way.
absl::Status AddSlots(KvmVm& vm, std::byte* page, std::uint32_t count) {
  constexpr std::uint64_t kFirst = std::uint64_t{1} << 30;
  constexpr std::uint64_t kPage = 4096;
  auto* const slots = FeatureOf<MemorySlots>(vm);
  if (slots == nullptr) return absl::UnavailableError("no memory slots");
  if (count > slots->slot_limit()) {
    return absl::UnavailableError(absl::StrCat(
        "the engine has ", slots->slot_limit(), " slots, not ", count));
  }
  for (std::uint32_t slot = 1; slot < count; ++slot) {
    if (slots->add({.slot = slot,
                    .gpa = kFirst + slot * (2 * kPage),
                    .bytes = kPage,
                    .host = page}) != Result::kOk) {
      return ErrnoStatus(slots->last_error(), absl::StrCat("slot ", slot));
    }
  }
  return absl::OkStatus();
}

void Slots(benchmark::State& state, KvmProgram& program, std::uint32_t count,
           bool by_store) {
  const Deadline deadline(kDeadlineSeconds, "scale: memory slots");
  absl::StatusOr<GuestMemory> page =
      GuestMemory::Create(4096, MemoryBacking::kAnonymous);
  if (!page.ok()) return Skip(state, std::string(page.status().message()));
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = MakeVm(program, 1);
  if (!vm.ok()) return Skip(state, std::string(vm.status().message()));
  const std::int64_t start = Now();
  if (absl::Status added = AddSlots(**vm, page->data(), count); !added.ok()) {
    return Skip(state, std::string(added.message()));
  }
  const std::int64_t adding = Now() - start;
  // mov $WS_MMIO_HOLE, %esi; next: mov %eax, (%rsi); jmp next
  constexpr std::array<std::uint8_t, 9> kStore = {0xbe,
                                                  WS_MMIO_HOLE & 0xff,
                                                  WS_MMIO_HOLE >> 8 & 0xff,
                                                  WS_MMIO_HOLE >> 16,
                                                  0,
                                                  0x89,
                                                  0x06,
                                                  0xeb,
                                                  0xfc};
  VcpuOps& vcpu = (*vm)->vcpu(0);
  if (by_store &&
      LoadCode(**vm, 0, kMode, kStore.data(), kStore.size()) != Result::kOk) {
    return Skip(state, ErrnoName(vcpu.last_error()));
  }
  TimeExits(state, program, vcpu, [by_store](const Exit& exit) {
    return by_store ? exit.reason == ExitReason::kMmio && exit.mmio.is_write &&
                          exit.mmio.gpa == WS_MMIO_HOLE
                    : IsOneOut(exit);
  });
  state.counters["slots"] = count;
  if (count > 1) {
    state.counters["ticks_per_slot_added"] =
        static_cast<double>(adding) / (count - 1);
  }
}

// Counts what it is told.
class Listener final : public BusDevice {
 public:
  void Read(std::uint64_t /*offset*/, void* data, std::uint32_t size) override {
    std::memset(data, 0, size);
  }
  void Write(std::uint64_t /*offset*/, const void* /*data*/,
             std::uint32_t /*size*/) override {
    ++writes_;
  }
  std::uint64_t writes() const { return writes_; }

 private:
  std::uint64_t writes_ = 0;
};

void Devices(benchmark::State& state, KvmProgram& program,
             std::uint32_t count) {
  const Deadline deadline(kDeadlineSeconds, "scale: devices");
  constexpr std::uint64_t kOthers = 0x1000;  // their ports, 8 each
  absl::StatusOr<std::unique_ptr<KvmVm>> vm = MakeVm(program, 1);
  if (!vm.ok()) return Skip(state, std::string(vm.status().message()));
  std::vector<Listener> devices(count);
  Bus ports;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t start =
        i == 0 ? WS_PORT_TEST : kOthers + std::uint64_t{i} * 8;
    const absl::Status added =
        ports.Add(start, 4, &devices[i], absl::StrCat("listener", i));
    if (!added.ok()) return Skip(state, std::string(added.message()));
  }
  BusExitHandler handler(&ports, nullptr);
  TimeExits(state, program, (*vm)->vcpu(0), [&handler](Exit& exit) {
    return IsOneOut(exit) && handler.HandleExit(exit) == LoopAction::kResume;
  });
  if (devices[0].writes() == 0 || handler.unclaimed() != 0) {
    return Skip(state, "the bus did not serve the exits");
  }
  state.counters["devices"] = count;
}

void AddAll(KvmProgram& program) {
  const auto add = [](const std::string& name, auto run) {
    AddBenchmark("scale/" + name, kRounds, run);
  };
  for (const std::uint32_t n : {1, 2, 4, 8}) {
    add(absl::StrCat("vcpus/", n), [&program, n](benchmark::State& state) {
      Throughput(state, program, 1, n);
    });
  }
  for (const std::uint32_t n : {1, 2, 4, 8}) {
    add(absl::StrCat("vms/", n), [&program, n](benchmark::State& state) {
      Throughput(state, program, n, 1);
    });
  }
  for (const std::uint32_t n : {1, 20, 200}) {
    add(absl::StrCat("alive/", n),
        [&program, n](benchmark::State& state) { Alive(state, program, n); });
  }
  for (const bool by_store : {false, true}) {
    for (const std::uint32_t n : {1, 16, 512, 4096, 32000}) {
      add(absl::StrCat("slots/", n, by_store ? "/store" : "/out"),
          [&program, n, by_store](benchmark::State& state) {
            Slots(state, program, n, by_store);
          });
    }
  }
  for (const std::uint32_t n : {1, 16, 512, 4096}) {
    add(absl::StrCat("devices/", n),
        [&program, n](benchmark::State& state) { Devices(state, program, n); });
  }
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  return worldswitch::RunKvmProgram(argc, argv, worldswitch::AddAll);
}
