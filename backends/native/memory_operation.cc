// What a decoded device access does to registers and flags (SDM 2, the
// instructions' own pages; flags by SDM 1, 3.4.3.1).

#include "backends/native/byte_values.h"
#include "backends/native/memory_instruction.h"

namespace worldswitch {
namespace {

using Kind = MemoryInstruction::Kind;
using Operation = MemoryInstruction::Operation;

constexpr std::uint64_t kDirectionFlag = 1 << 10;

}  // namespace

std::uint64_t& GeneralRegister(GeneralRegisters& registers, unsigned number) {
  switch (number & 15) {
    case 0:
      return registers.rax;
    case 1:
      return registers.rcx;
    case 2:
      return registers.rdx;
    case 3:
      return registers.rbx;
    case 4:
      return registers.rsp;
    case 5:
      return registers.rbp;
    case 6:
      return registers.rsi;
    case 7:
      return registers.rdi;
    case 8:
      return registers.r8;
    case 9:
      return registers.r9;
    case 10:
      return registers.r10;
    case 11:
      return registers.r11;
    case 12:
      return registers.r12;
    case 13:
      return registers.r13;
    case 14:
      return registers.r14;
    default:
      return registers.r15;
  }
}

void SetRegister(std::uint64_t& target, std::uint64_t value, unsigned bytes) {
  if (bytes >= 4) {
    target = LowBytes(value, bytes);
  } else {
    target =
        (target & ~LowBytes(~std::uint64_t{0}, bytes)) | LowBytes(value, bytes);
  }
}

namespace {

// RSI, RDI and RCX as wide as the address size says.
void Advance(std::uint64_t& target, std::uint64_t by, unsigned bytes) {
  SetRegister(target, target + by, bytes);
}

// The part of a register that a byte register or a narrower operand is.
std::uint64_t RegisterOperand(const MemoryInstruction& instruction,
                              const GeneralRegisters& registers) {
  // Reading changes nothing.
  auto& file = const_cast<GeneralRegisters&>(registers);
  std::uint64_t value = GeneralRegister(file, instruction.gpr);
  if (instruction.high_byte) value >>= 8;
  return LowBytes(value, instruction.access_bytes);
}

void SetRegisterOperand(const MemoryInstruction& instruction,
                        std::uint64_t value, GeneralRegisters& registers) {
  std::uint64_t& target = GeneralRegister(registers, instruction.gpr);
  if (instruction.high_byte) {
    target = (target & ~std::uint64_t{0xff00}) | value << 8;
  } else {
    SetRegister(target, value, instruction.register_bytes);
  }
}

// Flags of SDM 1, 3.4.3.1.
constexpr std::uint64_t kCarry = 1u << 0;
constexpr std::uint64_t kParity = 1u << 2;
constexpr std::uint64_t kAdjust = 1u << 4;
constexpr std::uint64_t kZero = 1u << 6;
constexpr std::uint64_t kSign = 1u << 7;
constexpr std::uint64_t kOverflow = 1u << 11;
constexpr std::uint64_t kStatusFlags =
    kCarry | kParity | kAdjust | kZero | kSign | kOverflow;

// SF, ZF and PF of a result.
std::uint64_t ResultFlags(std::uint64_t result, unsigned bytes) {
  std::uint64_t flags = 0;
  if (result == 0) flags |= kZero;
  if ((result >> (8 * bytes - 1) & 1) != 0) flags |= kSign;
  std::uint64_t low = result & 0xff;
  low ^= low >> 4;
  low ^= low >> 2;
  low ^= low >> 1;
  if ((low & 1) == 0) flags |= kParity;
  return flags;
}

// first + second + carry, or first - second - carry.
OperationResult AddOrSubtract(std::uint64_t first, std::uint64_t second,
                              std::uint64_t carry, bool subtracts,
                              unsigned bytes) {
  const std::uint64_t result = LowBytes(
      subtracts ? first - second - carry : first + second + carry, bytes);
  std::uint64_t flags = ResultFlags(result, bytes);
  const unsigned sign = 8 * bytes - 1;
  // Carries out of each bit (of a subtraction: borrows).
  const std::uint64_t carries =
      subtracts ? (~first & second) | ((~first | second) & result)
                : (first & second) | ((first | second) & ~result);
  if ((carries >> sign & 1) != 0) flags |= kCarry;
  if ((carries >> 3 & 1) != 0) flags |= kAdjust;
  const std::uint64_t overflow = subtracts
                                     ? (first ^ second) & (first ^ result)
                                     : (first ^ result) & (second ^ result);
  if ((overflow >> sign & 1) != 0) flags |= kOverflow;
  return {.value = result, .rflags = flags};
}

}  // namespace

OperationResult Compute(const MemoryInstruction& instruction,
                        std::uint64_t read, const GeneralRegisters& registers) {
  const unsigned bytes = instruction.access_bytes;
  const std::uint64_t memory = LowBytes(read, bytes);
  const std::uint64_t other = instruction.has_immediate
                                  ? LowBytes(instruction.immediate, bytes)
                                  : RegisterOperand(instruction, registers);
  const std::uint64_t first = instruction.register_is_first ? other : memory;
  const std::uint64_t second = instruction.register_is_first ? memory : other;
  const std::uint64_t carry = registers.rflags & kCarry;
  const std::uint64_t kept = registers.rflags & ~kStatusFlags;
  OperationResult result;
  switch (instruction.operation) {
    case Operation::kAdd:
      result = AddOrSubtract(first, second, 0, false, bytes);
      break;
    case Operation::kAdc:
      result = AddOrSubtract(first, second, carry, false, bytes);
      break;
    case Operation::kSbb:
      result = AddOrSubtract(first, second, carry, true, bytes);
      break;
    case Operation::kSub:
    case Operation::kCompare:
      result = AddOrSubtract(first, second, 0, true, bytes);
      break;
    case Operation::kOr:
      result.value = first | second;
      result.rflags = ResultFlags(result.value, bytes);
      break;
    case Operation::kAnd:
    case Operation::kTest:
      result.value = first & second;
      result.rflags = ResultFlags(result.value, bytes);
      break;
    case Operation::kXor:
      result.value = first ^ second;
      result.rflags = ResultFlags(result.value, bytes);
      break;
    // These two leave CF alone.
    case Operation::kIncrement:
      result = AddOrSubtract(memory, 1, 0, false, bytes);
      result.rflags = (result.rflags & ~kCarry) | carry;
      break;
    case Operation::kDecrement:
      result = AddOrSubtract(memory, 1, 0, true, bytes);
      result.rflags = (result.rflags & ~kCarry) | carry;
      break;
    case Operation::kNegate:
      result = AddOrSubtract(0, memory, 0, true, bytes);
      break;
    // And these all flags.
    case Operation::kNot:
      return {.value = LowBytes(~memory, bytes), .rflags = registers.rflags};
    case Operation::kExchange:
      return {.value = other, .rflags = registers.rflags};
  }
  result.rflags |= kept;
  return result;
}

std::uint64_t StoredValue(const MemoryInstruction& instruction,
                          const GeneralRegisters& registers) {
  // Reading changes nothing.
  auto& file = const_cast<GeneralRegisters&>(registers);
  std::uint64_t value = instruction.immediate;
  if (instruction.kind == Kind::kStoreRegister ||
      instruction.kind == Kind::kStoreString) {
    value = GeneralRegister(file, instruction.gpr);
    if (instruction.high_byte) value >>= 8;
  }
  return LowBytes(value, instruction.access_bytes);
}

bool FinishMemoryInstruction(const MemoryInstruction& instruction,
                             std::uint64_t value, GeneralRegisters& registers) {
  value = LowBytes(value, instruction.access_bytes);
  std::uint64_t& target = GeneralRegister(registers, instruction.gpr);
  switch (instruction.kind) {
    case Kind::kStoreRegister:
    case Kind::kStoreImmediate:
      return true;
    case Kind::kModify:
    case Kind::kCombine:
    case Kind::kCompare: {
      const OperationResult result = Compute(instruction, value, registers);
      registers.rflags = result.rflags;
      if (instruction.operation == Operation::kExchange) {
        SetRegisterOperand(instruction, value, registers);
      } else if (instruction.kind == Kind::kCombine) {
        SetRegisterOperand(instruction, result.value, registers);
      }
      return true;
    }
    case Kind::kLoadSignExtend:
      value = SignExtend(value, instruction.access_bytes);
      [[fallthrough]];
    case Kind::kLoadZeroExtend:
      SetRegister(target, value, instruction.register_bytes);
      return true;
    case Kind::kLoad:
      SetRegisterOperand(instruction, value, registers);
      return true;
    case Kind::kLoadString:
      SetRegister(registers.rax, value, instruction.access_bytes);
      break;
    case Kind::kStoreString:
      break;
  }
  const bool down = (registers.rflags & kDirectionFlag) != 0;
  const std::uint64_t step = down ? std::uint64_t{0} - instruction.access_bytes
                                  : instruction.access_bytes;
  Advance(
      instruction.kind == Kind::kStoreString ? registers.rdi : registers.rsi,
      step, instruction.address_bytes);
  if (!instruction.repeats) return true;
  Advance(registers.rcx, ~std::uint64_t{0}, instruction.address_bytes);
  return LowBytes(registers.rcx, instruction.address_bytes) == 0;
}

}  // namespace worldswitch
