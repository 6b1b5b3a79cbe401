// A scenario: one kind of exit, caused on purpose, with the proof that it
// happened. This header is the vocabulary; bench/catalogue.cc has them all.
//
// Freestanding: the boot image runs the same scenarios.

#ifndef WORLDSWITCH_BENCH_SCENARIO_H_
#define WORLDSWITCH_BENCH_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/exit.h"
#include "core/host_text.h"
#include "core/vcpu_loop.h"
#include "core/vm_ops.h"
#include "guests/guests.h"

namespace worldswitch {

enum class ScenarioKind : std::uint8_t {
  kGuest,     // a payload stamps every iteration from inside
  kKick,      // a peer thread kicks a spinning guest
  kPeerVcpu,  // like kGuest, with vCPU 1 on a thread of its own
  kPeerIrq,   // like kGuest, with a peer thread that raises its interrupts
  kParallel,  // like kGuest, with other vCPUs that exit all the time
  kHostCall,  // timed from the host's side; no guest code runs
};

// Where a scenario can run at all: it rests on what only one of them has.
enum class ScenarioPlace : std::uint8_t {
  kAnywhere,
  kKvm,     // KVM's own part of it: ioctls, its irqchip, exits it keeps
  kNative,  // in ring 0: what ProcessorControls turns
};
// "anywhere", "kvm only", "native only".
const char* ScenarioPlaceName(ScenarioPlace place);

// How a scenario shows that what it measured happened.
enum class ProofKind : std::uint8_t {
  kExitSeen,       // `run` returned the expected exit, once an iteration
  kDelivery,       // the same, and the guest's handler ran for each
  kEngineCounter,  // the engine's own counter moved, once an iteration
  kNoExit,         // a control: the counter is shown not to move
  kHostSide,       // the call's result is checked
};

// What a second counter of the engine has to do for the row to be proven.
enum class SecondCounter : std::uint8_t {
  kNone,
  kMoves,  // once an iteration
  kStill,  // not at all
};

// What an exit was to the scenario.
enum class ExitRole : std::uint8_t {
  kMeasured,    // the one under test
  kAuxiliary,   // needed, not measured
  kUnexpected,  // not part of the scenario: the row cannot be proven
};

// What the vCPU's thread does on the host at each measured exit, before it
// enters again.
enum class HostStep : std::uint8_t {
  kNone,
  kMoveToAnotherCpu,  // of those the program may use, in turns
  kRunAnotherVm,      // one entry and exit of a second VM
};

// What a scenario's exit function may touch.
struct ExitScene {
  VmOps& vm;
  VcpuOps& vcpu;
  VcpuContext& context;
  std::byte* memory;  // the guest's, WS_MEMORY_BYTES of it
  bool control;       // the block runs without the instruction under test
};

struct Scenario {
  const char* name = "";  // "user/pio_out"
  HostText summary = "";  // what it does, one line
  // The test of kvm-unit-tests' x86/vmexit that does the same, by the name it
  // prints; in ring 0, where its guest runs. Null: it has none.
  const char* vmexit_test = nullptr;
  HostText proof = "";  // how it is proven, one line
  ScenarioPlace place = ScenarioPlace::kAnywhere;
  ScenarioKind kind = ScenarioKind::kGuest;
  ProofKind proof_kind = ProofKind::kExitSeen;
  Payload payload = Payload::k_empty;
  GuestModeSet modes = 0;
  std::uint64_t arguments[2] = {0, 0};
  bool interrupts_on = false;
  Capability needs = Capability::kCount;  // kCount: nothing special
  Counter counter = Counter::kExits;      // kEngineCounter, kNoExit
  // Looks at one exit and serves it. Null: no exit is expected.
  ExitRole (*on_exit)(ExitScene& scene, Exit& exit) = nullptr;
  // kHostCall: the timed call; false if its result is not what proves it.
  bool (*host_call)(VcpuOps& vcpu) = nullptr;
  // kHostCall: before each timed call, untimed. May be null.
  void (*host_prepare)(VcpuOps& vcpu) = nullptr;
  // Before every block, untimed: puts back what the last one used up. A block
  // is then never longer than max_block. May be null.
  void (*before_block)(VmOps& vm) = nullptr;
  std::uint32_t max_block = WS_MAX_BLOCK;  // iterations in one block
  // "registers=sync,irqchip=split": the VM is made with these. May be null.
  const char* knobs = nullptr;
  std::uint64_t memory_bytes = WS_MEMORY_BYTES;
  bool huge_pages = false;  // memory advised for pages of 2 MiB
  // Why it is not made for the modes it lacks, where it is not for the
  // instruction. May be null.
  const char* why_not = nullptr;
  // Once, after the guest is loaded: sets up what the scenario needs. False:
  // the VM cannot do it (the row is unsupported). May be null.
  bool (*prepare)(VmOps& vm) = nullptr;
  // kEngineCounter: counts what proves the scenario, instead of `counter`:
  // signals of an eventfd, entries of a ring. Only grows. May be null.
  std::uint64_t (*count)(VmOps& vm) = nullptr;
  // kEngineCounter: what else shows it, by `second_counter` of vCPU 0. Without
  // that counter the row is unproven.
  SecondCounter second = SecondCounter::kNone;
  Counter second_counter = Counter::kExits;
  // kPeerVcpu: what vCPU 1 does, in the same mode, its interrupts on.
  Payload peer_payload = Payload::k_empty;
  HostStep host_step = HostStep::kNone;
  // kParallel: how many exit side by side; 0: one on each CPU that the program
  // may use.
  std::uint32_t parallel = 1;
  // The guest or the kernel waits for the peer awake: on one CPU the figure
  // would be the host's time slice, so the row is unsupported there.
  bool needs_two_cpus = false;
  // kPeerIrq: the peer's part, once a sample. False: the engine refused.
  bool (*peer_raise)(VmOps& vm) = nullptr;
};

using ScenarioList = std::span<const Scenario>;

// One list a file, bench/catalogue_*.cc.
ScenarioList ControlScenarios();
ScenarioList KernelScenarios();
ScenarioList KernelIoScenarios();     // catalogue_io_events.cc
ScenarioList KernelAskedScenarios();  // catalogue_asked.cc
ScenarioList FastScenarios();         // catalogue_irqchip.cc
ScenarioList UserScenarios();
ScenarioList UserAskedScenarios();  // catalogue_asked.cc
ScenarioList IrqScenarios();
ScenarioList ApicIrqScenarios();  // catalogue_irqchip.cc
ScenarioList VcpuScenarios();
// catalogue_vmexit.cc: what only kvm-unit-tests' vmexit asked for.
ScenarioList VmexitKernelScenarios();
ScenarioList VmexitUserScenarios();
ScenarioList VmexitIrqScenarios();
ScenarioList NativeScenarios();

// The lists of this program, in the order of the table. Whoever links the
// scenarios chooses: bench/scenario_lists.cc has all of them, and the boot
// image those that need no KVM (native/scenario_lists.cc).
using ListFunction = ScenarioList (*)();
std::span<const ListFunction> ScenarioLists();

// All scenarios of those lists.
class AllScenarios {
 public:
  class Iterator {
   public:
    Iterator(std::size_t list, std::size_t index);
    const Scenario& operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const = default;

   private:
    void SkipEnds();
    std::size_t list_;
    std::size_t index_;
  };
  Iterator begin() const;
  Iterator end() const;
};

// Why a scenario does not exist in a mode, by architecture; null if it does.
const char* WhyNotInMode(const Scenario& scenario, GuestMode mode);

// The payload on this CPU: VMCALL or VMMCALL is the CPU's choice.
Payload PayloadOf(const Scenario& scenario);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_SCENARIO_H_
