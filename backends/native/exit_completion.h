// What is left to do of an instruction whose exit was handed out, before the
// guest goes on: its result goes into the registers or into memory, and RIP
// behind it (clauses CMP.1 to CMP.3 of core/vcpu_ops.h). The same for both
// vendors; reading and writing RIP is theirs.
//
// One for each vCPU, on its thread. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_EXIT_COMPLETION_H_
#define WORLDSWITCH_BACKENDS_NATIVE_EXIT_COMPLETION_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/guest_view.h"
#include "backends/native/memory_instruction.h"
#include "core/exit.h"
#include "core/registers.h"

namespace worldswitch {

// A port access, as the exit qualification or EXITINFO1 says it.
struct PortAccess {
  std::uint16_t port = 0;
  std::uint8_t size = 1;  // bytes of an element: 1, 2, 4
  bool is_write = false;
  bool is_string = false;
  bool repeats = false;
  std::uint8_t instruction_length = 0;
  // String access: the operand's segment base, and the width of RSI, RDI, RCX.
  std::uint64_t segment_base = 0;
  std::uint8_t address_bytes = 8;
};

class ExitCompletion {
 public:
  // What completing came to.
  struct Effect {
    std::uint8_t advance = 0;         // bytes that RIP goes on; 0: it stays
    bool general_protection = false;  // #GP(0) instead
  };

  ExitCompletion() = default;
  ExitCompletion(const ExitCompletion&) = delete;
  ExitCompletion& operator=(const ExitCompletion&) = delete;

  bool pending() const { return kind_ != Kind::kNone; }

  // Each begins one exit; nothing is pending before. What is borrowed stays
  // good until Finish. registers: rsp and rflags are looked at as well, by all
  // but BeginIo and BeginMsr, and by what finishes a device access.

  // Nothing but going on behind the instruction.
  void BeginSkip(std::uint8_t instruction_length);
  IoExit BeginIo(const PortAccess& access, const GeneralRegisters& registers);
  // As many elements as lie in one page of the guest. False: the guest's
  // operand is nowhere in its memory, and nothing is begun.
  bool BeginStringIo(const PortAccess& access, const GuestView& view,
                     const GeneralRegisters& registers, IoExit* exit);
  MmioExit BeginMmio(const MemoryInstruction& instruction, std::uint64_t gpa,
                     const GeneralRegisters& registers);
  // engine_reason of the exit is 0.
  MsrExit BeginMsr(bool is_write, std::uint8_t instruction_length,
                   const GeneralRegisters& registers);

  // Before the next run. A device access that reads and then writes has a
  // second exit, without an entry in between. True: *exit is that one. False:
  // there is none, or it was given already; Finish.
  bool NextAccess(const GeneralRegisters& registers, MmioExit* exit);
  // Between those two there are no registers to be had (CMP.2).
  bool mid_instruction() const {
    return kind_ == Kind::kMmio && stage_ == Stage::kRead;
  }

  // Does it; nothing is pending afterwards. Of an instruction that is not done,
  // a repeated one, RIP stays, and it exits again.
  Effect Finish(GeneralRegisters& registers);
  // Forgets it: the guest was put elsewhere.
  void Drop() { kind_ = Kind::kNone; }

 private:
  enum class Kind : std::uint8_t {
    kNone,
    kSkip,
    kIn,
    kString,
    kMmio,
    kRdmsr,
    kWrmsr,
  };

  // Of a device access that reads and then writes.
  enum class Stage : std::uint8_t { kNone, kRead, kWrite };

  static constexpr std::size_t kStringBytes = 4096;

  Kind kind_ = Kind::kNone;
  Stage stage_ = Stage::kNone;
  std::uint8_t length_ = 0;
  std::uint8_t inject_gp_ = 0;
  std::uint32_t elements_ = 0;
  PortAccess access_;
  MemoryInstruction instruction_;
  std::byte* guest_ = nullptr;  // INS: where the data goes
  std::uint64_t value_ = 0;     // of a single access, or the MSR
  std::uint64_t gpa_ = 0;       // of a device access
  std::uint64_t read_ = 0;      // what it read, while it writes
  alignas(8) std::byte string_[kStringBytes];
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_EXIT_COMPLETION_H_
