// The ops: what a backend is asked to do with one vCPU, and no more.
//
// One page of contract. The numbered clauses (RUN.1, CMP.2, ...) are what the
// conformance suite holds every backend to; a test names the clauses it shows.
// Unless a clause says otherwise an op is called by the one thread that runs
// the vCPU at that time, between two runs; nothing here allocates, locks, or
// throws.
//
//   RUN.1  `run` makes exactly one entry and returns exactly one exit: no loop,
//          no retry, no policy.
//   RUN.2  An I/O exit tells port, direction, element size and element count;
//          its data is borrowed until the next run, fetch or commit. A string
//          instruction may be cut into several exits.
//   RUN.3  An access to guest-physical memory nobody backs is a kMmio exit with
//          address, length and direction.
//   RUN.4  HLT is a kHlt exit, and the guest goes on behind it.
//   RUN.5  A triple fault is a kShutdown exit.
//   RUN.6  An exit the backend does not know is kUnknown with its raw code:
//          never swallowed, never a crash.
//   CMP.1  What the caller stores into the data of an IN, an MMIO read or an
//          RDMSR, before any fetch or commit, reaches the guest at the next
//          run.
//   CMP.2  Registers read after such an exit are those after the instruction:
//          the backend completes the exit first. Between two exits of one
//          instruction there are none, and the fetch answers kError with EBUSY.
//   CMP.3  An exit is completed once. Reading registers, then running, neither
//          repeats nor skips an instruction.
//   REG.1  Committed registers are the ones the guest runs with.
//   REG.2  Fetched registers are the ones the guest left behind.
//   REG.3  A dirty group reaches the guest at the next run without commit.
//   REG.4  `wanted` groups are cached when `run` returns, I/O exits excepted
//          (CMP.2: fetch completes them first).
//   REG.5  A commit that the engine refuses says so; the vCPU can go on with
//          the state it had.
//   INJ.1  An accepted interrupt is delivered at the next entry, before the
//          guest's next instruction.
//   INJ.2  With interrupts off or blocked, inject_irq answers kBlocked and
//          nothing is delivered.
//   INJ.3  At most one injection per entry; a second one answers kBusy.
//   INJ.4  cancel_injection takes back what was accepted and not delivered.
//   INJ.5  An NMI is delivered whatever RFLAGS.IF says.
//   INJ.6  An exception is delivered with its error code.
//   INJ.7  A vector out of range answers kInvalid, and nothing is delivered.
//   WIN.1  With the window requested, `run` exits with kIrqWindow once the
//          guest can take an interrupt, and never while it cannot. Other exits
//          may come first: an engine may notice only when it leaves the guest
//          anyway.
//   WIN.2  The request is spent by that exit, and can be withdrawn before.
//   KICK.1 A kick before `run` makes that run return kInterrupted before the
//          guest executes an instruction.
//   KICK.2 A kick during `run` makes it return, soon: with kInterrupted, or
//          with another exit that came first, and the next with kInterrupted.
//   KICK.3 Kicks coalesce: any number of kicks before a run is returned once,
//          and the run after it enters the guest. (A signal of the host may
//          cause kInterrupted as well.)
//   KICK.4 A handle may outlive its vCPU, and then kicks nobody.
//   MEM.1  What the host writes to guest memory between runs, the guest reads.
//   MEM.2  What the guest wrote, the host reads after the exit.
//   SMP.1  vCPUs of one VM run side by side on threads of their own and share
//          its memory.

#ifndef WORLDSWITCH_CORE_VCPU_OPS_H_
#define WORLDSWITCH_CORE_VCPU_OPS_H_

#include <cstdint>

#include "core/exit.h"
#include "core/kick.h"
#include "core/registers.h"

namespace worldswitch {

enum class Disposition : std::uint8_t {
  kResume,    // dealt with; enter again
  kToCaller,  // the caller must look at it
};

enum class InjectResult : std::uint8_t {
  kOk,           // will be delivered at the next entry
  kBlocked,      // the guest cannot take it now; ask for the window
  kBusy,         // another event is already on its way into the next entry
  kInvalid,      // no such vector
  kUnsupported,  // the engine cannot do this
  kError,        // the engine refused; last_error() has the errno
};

enum class Result : std::uint8_t {
  kOk,
  kUnsupported,  // the engine cannot do this
  kError,        // the engine refused; last_error() has the errno
};

enum class EventKind : std::uint8_t { kIrq, kNmi, kException };

// Something to be delivered through the guest's IDT (or IVT).
struct Event {
  EventKind kind = EventKind::kIrq;
  std::uint8_t vector = 0;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
};

class VcpuOps {
 public:
  // RUN.*, CMP.1, REG.3. Dirty registers and an accepted event go in, one exit
  // comes out.
  virtual Exit run() = 0;

  // What only the backend can do with an exit: retry what the engine asks to
  // retry, back a page, take back an event whose delivery the exit interrupted.
  // Called once, before the next run, for an exit that says for_backend, and
  // for no other: most exits spare the call.
  virtual Disposition handle_exit(const Exit& exit) = 0;

  // Whether inject_irq would be accepted now: RFLAGS.IF is set, nothing blocks,
  // nothing else is on its way. False before the first run of a vCPU whose
  // engine cannot tell yet.
  virtual bool interrupt_allowed() = 0;
  // INJ.1 to INJ.3, INJ.7. vector: 16 to 255.
  virtual InjectResult inject_irq(std::uint8_t vector) = 0;
  virtual InjectResult inject_nmi() = 0;  // INJ.5
  // INJ.6. event.kind must be kException; vector: 0 to 31, but 2.
  virtual InjectResult inject_exception(const Event& event) = 0;
  // WIN.*; false withdraws.
  virtual void request_irq_window(bool wanted) = 0;
  // The same for NMI, on engines that do not queue it themselves.
  virtual void request_nmi_window(bool wanted) = 0;
  // INJ.4. True: *event was on its way and is not any more.
  virtual bool cancel_injection(Event* event) = 0;

  // The register file, for `wanted`, the values, and `dirty`. Stays where it is
  // as long as the vCPU lives.
  virtual RegisterFile& registers() = 0;
  // Makes all groups in `groups` cached. CMP.2, REG.2.
  virtual Result fetch_registers(RegisterSet groups) = 0;
  // Sends the dirty groups to the engine now. REG.1, REG.5.
  virtual Result commit_registers() = 0;

  // A fact about the last exit that costs a fetch. Not known: not this
  // backend's, or not of this exit.
  virtual OptionalValue exit_detail(ExitDetail detail) = 0;

  // KICK.*. May be called from any thread while the vCPU lives.
  virtual KickHandle kick_handle() = 0;

  // errno of the last op that answered kError; 0 if none did.
  virtual int last_error() const = 0;

 protected:
  ~VcpuOps() = default;
};

// What comes first behind each `run`. True: the backend has dealt with the exit
// and nobody else is to see it; enter again.
template <typename Ops>
bool BackendResumes(Ops& vcpu, const Exit& exit) {
  return exit.for_backend && vcpu.handle_exit(exit) == Disposition::kResume;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_VCPU_OPS_H_
