// A script: what a made-up guest does, step by step, for ScriptedVcpu to play.
//
// Built in C++ by chaining, or read from a file (script_text.h). Steps are of
// two kinds: exits, which end a run, and changes of the guest's state, which
// the guest makes on its way to the next exit. Changes before the first exit
// are the state the guest starts with.
//
//   Script()
//       .Interrupts(true)
//       .Out(0x3f8, 1, {'h', 'i'})
//       .In(0x60, 1).Expect({0x1c})
//       .Hlt();

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/exit.h"
#include "core/registers.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

struct ScriptedStep {
  enum class Kind : std::uint8_t {
    kExit,        // ends the run
    kSpin,        // the guest runs until it is kicked; ends the run
    kInterrupts,  // RFLAGS.IF becomes `value`
    kShadow,      // the shadow of STI or MOV SS becomes `value`
    kNmis,        // NMIs are accepted (1) or blocked (0)
    kInjection,   // what the engine answers to injections from now on
    kCommit,      // the errno of commits from now on, 0 for success
    kRegister,    // the general register `gpr` becomes `value`
  };

  Kind kind = Kind::kExit;
  int line = 0;  // of the file; 0 where built in C++
  std::uint64_t value = 0;
  std::int32_t error_number = 0;                   // kInjection, kCommit
  InjectResult injection = InjectResult::kOk;      // kInjection
  std::uint64_t GeneralRegisters::*gpr = nullptr;  // kRegister

  // kExit. Pointers of I/O, MMIO, MSR and hypercall exits are filled by the
  // vCPU, unless the step came from Script::Raise.
  Exit exit = {};
  bool is_borrowed = false;              // from Script::Raise
  std::vector<std::uint8_t> data;        // what the guest writes, or zeros
  std::vector<std::uint8_t> expect;      // what the caller is to give, or empty
  std::vector<std::uint64_t> arguments;  // of a hypercall
  bool expects_gp = false;      // the caller is to raise #GP for the MSR
  bool is_undelivered = false;  // interrupted the delivery of an event
  std::uint32_t times = 1;      // how often it is played
  std::uint8_t length = 0;      // of the instruction, in bytes
  OptionalValue qualification, info1, info2;
};

// Not for several threads. A wrong step is remembered in status(), and it and
// what follows is left out.
class Script {
 public:
  // Exits. A string instruction has more than one element of `size` bytes.
  Script& Out(std::uint16_t port, std::uint8_t size,
              std::vector<std::uint8_t> data);
  Script& In(std::uint16_t port, std::uint8_t size, std::uint32_t count = 1);
  Script& MmioRead(std::uint64_t gpa, std::uint32_t length);
  Script& MmioWrite(std::uint64_t gpa, std::vector<std::uint8_t> data);
  Script& Rdmsr(std::uint32_t index);
  Script& Wrmsr(std::uint32_t index, std::uint64_t value);
  Script& Hypercall(std::uint64_t number,
                    std::vector<std::uint64_t> arguments = {});
  Script& Hlt();
  // An exit that the backend does not know (RUN.6).
  Script& Unknown(std::uint64_t raw);
  // Any other exit. What its payload points to is not owned. kInterrupted,
  // kRetry, kError and kEntryFailure did not enter: what was accepted for
  // injection waits on.
  Script& Raise(const Exit& exit);
  // The guest runs until it is kicked, then exits with kInterrupted (KICK.2).
  Script& Spin();

  // About the exit before.
  Script& Raw(std::uint64_t raw);
  Script& Times(std::uint32_t times);  // play it so many times, 1 or more
  Script& Length(std::uint8_t bytes);  // of its instruction, 0 to 15
  Script& Qualification(std::uint64_t value);
  Script& Info1(std::uint64_t value);
  Script& Info2(std::uint64_t value);
  // The exit interrupted the delivery of what was injected (INJ.4).
  Script& Undelivered();
  // What the caller is to give: to IN and MMIO reads as bytes, to RDMSR and
  // hypercalls as eight bytes, lowest first. Other data is recorded as a
  // mismatch, and the script goes on.
  Script& Expect(std::vector<std::uint8_t> data);
  Script& ExpectValue(std::uint64_t value);
  Script& ExpectGp();

  // Changes of the guest's state, one at a time: for STI, put Shadow(true)
  // before Interrupts(true), or a window opens between the two. The guest
  // starts with interrupts off, NMIs accepted, registers zero but RFLAGS 2, and
  // an engine that accepts all.
  Script& Interrupts(bool on);
  Script& Shadow(bool on);
  Script& Nmis(bool accepted);
  // kOk, or what the engine answers instead; error_number for kError.
  Script& Injection(InjectResult result, std::int32_t error_number = 0);
  Script& Commit(std::int32_t error_number);
  Script& Register(const std::string& name, std::uint64_t value);

  const std::vector<ScriptedStep>& steps() const { return steps_; }
  const absl::Status& status() const { return status_; }

  // For the parser: the line of the steps that follow.
  void set_line(int line) { line_ = line; }

 private:
  Script& Add(ScriptedStep step);
  Script& AddChange(ScriptedStep::Kind kind, std::uint64_t value);
  Script& Fail(const std::string& message);
  // The last step, if it is an exit; otherwise fails and gives null.
  ScriptedStep* LastExit(const char* what);

  std::vector<ScriptedStep> steps_;
  absl::Status status_;
  int line_ = 0;
};

// The reasons that end a run without an entry.
constexpr bool IsWithoutEntry(ExitReason reason) {
  return reason == ExitReason::kEntryFailure ||
         reason >= ExitReason::kInterrupted;
}

// An exit with nothing but its reason: every payload field is zero.
Exit BlankExit(ExitReason reason);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPT_H_
