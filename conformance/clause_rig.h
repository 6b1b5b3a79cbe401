// What the checks of the clauses are written with: one VM, guests to load into
// it, runs under a watchdog, and expectations that say what they saw.
//
// An expectation that does not hold settles the outcome and gives false; the
// check returns then:
//
//   if (!rig.Load(ClauseGuest::k_count)) return;
//   if (!rig.RunToOut(WS_CLAUSE_PORT_A, 1)) return;
//
// Freestanding.

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_RIG_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_RIG_H_

#include <cstdint>

#include "conformance/clause_guest_list.h"
#include "conformance/clause_layout.h"
#include "conformance/clauses.h"
#include "core/exit.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"
#include "guests/guests.h"

namespace worldswitch {

enum class ClauseGuest : std::uint8_t {
#define WS_CLAUSE_GUEST_ENUM(name) k_##name,
  WS_CLAUSE_GUESTS(WS_CLAUSE_GUEST_ENUM)
#undef WS_CLAUSE_GUEST_ENUM
      kCount
};

// Places in a guest's code; see clause_guests.S.
enum class GuestPlace : std::uint8_t { kStart, kMark, kHandler };

// How a guest starts.
struct GuestStart {
  bool interrupts_on = false;  // RFLAGS.IF
  std::uint32_t vcpu_index = 0;
  std::uint64_t rax = 0, rcx = 0, rsi = 0, rdi = 0;
};

class ClauseRig {
 public:
  static constexpr std::uint32_t kMaxVcpus = 4;

  ClauseRig(ClauseHost& host, GuestMode mode) : host_(host), mode_(mode) {}
  ~ClauseRig() { DestroyVm(); }
  ClauseRig(const ClauseRig&) = delete;
  ClauseRig& operator=(const ClauseRig&) = delete;

  ClauseHost& host() { return host_; }
  GuestMode mode() const { return mode_; }
  bool is_long() const { return mode_ != GuestMode::kReal; }
  const ClauseOutcome& outcome() const { return outcome_; }

  // The VM. False: skipped, with the host's reason.
  bool MakeVm(std::uint32_t vcpus);
  bool MakeVmOfUnknownExit(std::uint64_t raw);
  void DestroyVm();
  VmOps& vm() { return *vm_; }
  VcpuOps& vcpu(std::uint32_t index = 0) { return vm_->vcpu(index); }
  RegisterFile& file() { return vcpu().registers(); }
  GeneralRegisters& general() { return file().general; }
  SpecialRegisters& special() { return file().special; }

  // Puts a guest into memory and the vCPU at its start.
  bool Load(ClauseGuest guest, const GuestStart& start = {});
  // Where it lies; only after Load.
  std::uint64_t AddressOf(ClauseGuest guest, GuestPlace place) const;
  // Lets a vector lead to the guest's handler. Load makes all others, but the
  // exceptions, report a fault.
  void SetHandler(std::uint32_t vector, ClauseGuest guest);

  // Guest memory, also while the guest runs.
  std::uint32_t Read32(std::uint64_t gpa);
  std::uint64_t Read64(std::uint64_t gpa);
  void Write32(std::uint64_t gpa, std::uint32_t value);
  std::byte* Bytes(std::uint64_t gpa, std::uint64_t length) {
    return vm_->memory().At(gpa, length);
  }

  // One run, whatever comes of it.
  Exit Run(std::uint32_t vcpu_index = 0);
  // Whether the last run of that vCPU had to be ended by the host.
  bool hung(std::uint32_t vcpu_index = 0) const { return hung_[vcpu_index]; }
  // Runs to an exit of this reason. A kInterrupted or two that nobody asked for
  // are passed over: a signal of the host may cause them.
  bool RunTo(ExitReason reason, Exit* exit);
  // Runs to one OUT of this value (in as many bytes as the OUT has).
  bool RunToOut(std::uint16_t port, std::uint32_t value);
  // The same, whatever the value.
  bool RunToAnyOut(std::uint16_t port, Exit* exit);
  // Runs to one IN, and gives it `value`.
  bool RunToIn(std::uint16_t port, std::uint32_t value);
  // Runs to one MMIO read, and gives it `value`.
  bool RunToMmioRead(std::uint64_t gpa, std::uint32_t length,
                     std::uint64_t value);
  bool RunToMmioWrite(std::uint64_t gpa, std::uint32_t length,
                      std::uint64_t value);

  // Expectations. what: the thing, "the second inject_irq".
  bool ExpectExit(const Exit& exit, ExitReason reason);
  bool Expect(bool holds, const char* what);
  bool ExpectEqual(const char* what, std::uint64_t expected,
                   std::uint64_t seen);
  bool ExpectResult(const char* what, Result expected, Result seen);
  bool ExpectInject(const char* what, InjectResult expected, InjectResult seen);
  // Fetches, and expects it to succeed.
  bool Fetch(RegisterSet groups);

  // Settle the outcome; the first one counts. Always false.
  bool Fail(const TextLine& text);
  bool Skip(const TextLine& text);
  bool Skip(const char* why) { return Skip(TextLine().Append(why)); }

 private:
  bool TakeVm(VmOps* vm, std::uint32_t vcpus, const char* why);

  ClauseHost& host_;
  const GuestMode mode_;
  VmOps* vm_ = nullptr;
  std::uint64_t code_base_ = 0;
  bool hung_[kMaxVcpus] = {};
  ClauseOutcome outcome_;
};

// The lowest `bytes` (1 to 8) bytes behind data, lowest first.
std::uint64_t ReadData(const void* data, std::uint32_t bytes);
void WriteData(void* data, std::uint64_t value, std::uint32_t bytes);
// The lowest `bytes` bytes of a value.
constexpr std::uint64_t Low(std::uint64_t value, std::uint32_t bytes) {
  return bytes >= 8 ? value : value & ((std::uint64_t{1} << (8 * bytes)) - 1);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_CLAUSE_RIG_H_
