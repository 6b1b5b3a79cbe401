// The conformance suite: every clause of core/vcpu_ops.h, written once, run on
// every backend and in every mode of the guest that it makes sense in.
//
// Freestanding, like the contract: no heap, no exceptions, no OS. Whoever runs
// the clauses (a GoogleTest program, the boot image, a program that has a
// backend of its own) brings a ClauseHost and goes through AllClauses():
//
//   for (const Clause& clause : AllClauses()) {
//     if ((clause.modes & ModeBit(mode)) == 0) continue;
//     const ClauseOutcome outcome = RunClause(clause, host, mode);
//     ...
//   }

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSES_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSES_H_

#include <cstddef>
#include <cstdint>

#include "core/host_text.h"
#include "core/text_line.h"
#include "core/vm_ops.h"
#include "guests/guests.h"

namespace worldswitch {

// What a clause needs of the world around it. Every member but Yield is called
// by the thread that runs the clause, unless it says otherwise.
class ClauseHost {
 public:
  // Null: it cannot be had, and *why says why, until the next call.
  virtual VmOps* MakeVm(const VmNeeds& needs, const char** why) = 0;
  // A VM whose vCPU's first exit is one that the backend does not know, of this
  // raw code (RUN.6), and the next one HLT. Null, with why: a machine cannot be
  // made to.
  virtual VmOps* MakeVmOfUnknownExit(std::uint64_t raw, const char** why) = 0;
  virtual void DestroyVm(VmOps* vm) = 0;

  // Around every run, on its thread. In between, a vCPU that takes too long is
  // to be kicked until it comes back. EndRun says whether that was necessary.
  virtual void BeginRun(VmOps* vm, std::uint32_t vcpu_index) = 0;
  virtual bool EndRun(VmOps* vm, std::uint32_t vcpu_index) = 0;

  virtual bool has_threads() const = 0;
  // Runs function(argument) on a thread of its own, one at a time.
  virtual void StartThread(void (*function)(void*), void* argument) = 0;
  // Waits until that function has returned.
  virtual void JoinThread() = 0;
  // Any thread: it waits for another one.
  virtual void Yield() = 0;

 protected:
  ~ClauseHost() = default;
};

enum class ClauseVerdict : std::uint8_t { kPassed, kFailed, kSkipped };

struct ClauseOutcome {
  ClauseVerdict verdict = ClauseVerdict::kPassed;
  // kFailed: what was expected and what was seen. kSkipped: why.
  TextLine text;
};

// Capabilities that a clause cannot do without; combine with |.
using CapabilitySet = std::uint32_t;
constexpr CapabilitySet CapabilityBit(Capability capability) {
  return CapabilitySet{1} << static_cast<unsigned>(capability);
}

class ClauseRig;

struct Clause {
  const char* id = "";         // as in core/vcpu_ops.h: "CMP.1"
  const char* part = "";       // "io", where a clause takes more than one check
  HostText summary = "";       // what is shown, one line
  GuestModeSet modes = 0;      // in which it is defined
  CapabilitySet needs = 0;     // without one of them it is skipped
  std::uint32_t vcpus = 1;     // of the VM it begins with; 0: it makes its own
  bool needs_threads = false;  // of the host; without them it is skipped
  void (*check)(ClauseRig& rig) = nullptr;
};

// In the order of core/vcpu_ops.h.
struct ClauseList {
  const Clause* begin_;
  const Clause* end_;
  const Clause* begin() const { return begin_; }
  const Clause* end() const { return end_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
};
ClauseList AllClauses();

// One clause, from making the VM to destroying it.
ClauseOutcome RunClause(const Clause& clause, ClauseHost& host, GuestMode mode);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_CLAUSES_H_
