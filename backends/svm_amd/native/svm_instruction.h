// Lengths and operands of instructions that exit, where the processor does not
// tell them (no NRIPS, no decode assists).
//
// Freestanding: pure functions of the instruction's bytes. Opcodes by APM 3.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTION_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTION_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/memory_instruction.h"

namespace worldswitch::svm {

struct DecodedInstruction {
  std::uint8_t length = 0;  // of all of it; 0: not understood
  std::uint8_t second = 0;  // the opcode's byte behind 0F; 0 without
  std::uint8_t modrm = 0;
  std::uint8_t gpr = 0;  // ModRM.rm, REX.B applied, where it is a register

  bool is_mov_cr_dr() const { return second >= 0x20 && second <= 0x23; }
  bool is_rdtscp() const { return second == 0x01 && modrm == 0xF9; }
};

// Instructions of the opcode map 0F without immediate, and HLT, PAUSE: all that
// exit by an intercept but port accesses, INTn, PUSHF, POPF and IRET.
DecodedInstruction DecodeIntercepted(const std::uint8_t* bytes,
                                     std::size_t count, CodeSize code);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTION_H_
