// Decodes the instructions with which guests reach device memory: neither VMX
// nor SVM says what an access that ended in a nested page fault was to store,
// or where its result goes.
//
// Understood: MOV between memory and a general register or an immediate, its
// moffs forms, MOVZX, MOVSX, MOVSXD, STOS and LODS; ADD, OR, ADC, SBB, AND,
// SUB, XOR, CMP, TEST, XCHG, INC, DEC, NOT and NEG with an operand in memory;
// with all prefixes. Anything else is left to the caller. Freestanding; opcodes
// by SDM 2, appendix A.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_MEMORY_INSTRUCTION_H_
#define WORLDSWITCH_BACKENDS_NATIVE_MEMORY_INSTRUCTION_H_

#include <cstddef>
#include <cstdint>

#include "core/registers.h"

namespace worldswitch {

// The longest that an instruction can be (SDM 2, 2.3.11).
inline constexpr std::size_t kMaxInstructionBytes = 15;

// By CS.L and CS.D.
enum class CodeSize : std::uint8_t { k16, k32, k64 };
// access_rights: those of CS, as Segment has them.
constexpr CodeSize CodeSizeOf(std::uint32_t access_rights,
                              bool long_mode_active) {
  if (long_mode_active && (access_rights & (1u << 13)) != 0) {
    return CodeSize::k64;
  }
  return (access_rights & (1u << 14)) != 0 ? CodeSize::k32 : CodeSize::k16;
}

struct MemoryInstruction {
  enum class Kind : std::uint8_t {
    kStoreRegister,
    kStoreImmediate,
    kLoad,            // the rest of a 64-bit register: see register_bytes
    kLoadZeroExtend,  // MOVZX
    kLoadSignExtend,  // MOVSX, MOVSXD
    kStoreString,     // STOS
    kLoadString,      // LODS
    kModify,          // reads, and writes what Compute makes of it
    kCombine,         // reads, and changes a register and the flags
    kCompare,         // reads, and changes the flags
  };
  // Of the last three. In the order of the opcodes and of group 1.
  enum class Operation : std::uint8_t {
    kAdd,
    kOr,
    kAdc,
    kSbb,
    kAnd,
    kSub,
    kXor,
    kCompare,
    kTest,
    kExchange,
    kIncrement,
    kDecrement,
    kNot,
    kNegate,
  };
  Kind kind = Kind::kLoad;
  Operation operation = Operation::kAdd;
  bool has_immediate = false;       // the other operand, instead of gpr
  bool register_is_first = false;   // CMP of a register with memory
  std::uint8_t length = 0;          // of the instruction, bytes
  std::uint8_t access_bytes = 0;    // 1, 2, 4 or 8
  std::uint8_t register_bytes = 0;  // of the destination of a load
  std::uint8_t address_bytes = 0;   // 2, 4 or 8: of RSI, RDI, RCX
  std::uint8_t gpr = 0;             // in ModRM order
  bool high_byte = false;           // AH, CH, DH, BH instead of gpr's low byte
  bool repeats = false;             // a REP prefix in front of a string access
  std::uint64_t immediate = 0;

  bool is_write() const {
    return kind == Kind::kStoreRegister || kind == Kind::kStoreImmediate ||
           kind == Kind::kStoreString;
  }
  // It reads, and then writes at the same place.
  bool is_read_modify_write() const { return kind == Kind::kModify; }
};

// bytes: from the instruction's first on, as many as there are. False: none of
// those understood, or not all of it is there.
bool DecodeMemoryInstruction(const std::uint8_t* bytes, std::size_t count,
                             CodeSize code, MemoryInstruction* instruction);

// A general register by its number in ModRM order (RAX, RCX, RDX, RBX, RSP,
// RBP, RSI, RDI, R8 to R15).
std::uint64_t& GeneralRegister(GeneralRegisters& registers, unsigned number);

// kModify, kCombine, kCompare: the result with `read` in memory, and RFLAGS
// behind it.
struct OperationResult {
  std::uint64_t value = 0;
  std::uint64_t rflags = 0;
};
OperationResult Compute(const MemoryInstruction& instruction,
                        std::uint64_t read, const GeneralRegisters& registers);

// What a store stores, in its lowest access_bytes bytes.
std::uint64_t StoredValue(const MemoryInstruction& instruction,
                          const GeneralRegisters& registers);
// What the instruction does but for memory and RIP: a load's result, and a
// string access's pointer and count. value: what was read. True: it is done,
// and RIP goes on; false: a repeated one has more elements to come.
bool FinishMemoryInstruction(const MemoryInstruction& instruction,
                             std::uint64_t value, GeneralRegisters& registers);

// Sets the lowest `bytes` bytes of a register as an instruction would: four
// clear the upper half, one and two leave the rest.
void SetRegister(std::uint64_t& target, std::uint64_t value, unsigned bytes);

// Of an instruction of string I/O: what its prefixes change.
struct StringPrefixes {
  std::uint8_t address_bytes = 8;
  // The segment that OUTS reads from, in the order ES, CS, SS, DS, FS, GS.
  std::uint8_t segment = 3;
};
StringPrefixes DecodeStringPrefixes(const std::uint8_t* bytes,
                                    std::size_t count, CodeSize code);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_MEMORY_INSTRUCTION_H_
