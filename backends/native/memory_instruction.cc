#include "backends/native/memory_instruction.h"

namespace worldswitch {
namespace {

using Kind = MemoryInstruction::Kind;
using Operation = MemoryInstruction::Operation;

constexpr std::uint64_t kDirectionFlag = 1 << 10;

struct Prefixes {
  bool operand_size = false;  // 66
  bool address_size = false;  // 67
  bool repeat = false;        // F2, F3
  std::uint8_t rex = 0;
  std::uint8_t segment = 3;  // DS
  std::size_t length = 0;

  bool rex_w() const { return (rex & 8) != 0; }
  bool rex_r() const { return (rex & 4) != 0; }
};

Prefixes ReadPrefixes(const std::uint8_t* bytes, std::size_t count,
                      CodeSize code) {
  Prefixes prefixes;
  for (; prefixes.length < count; ++prefixes.length) {
    const std::uint8_t byte = bytes[prefixes.length];
    bool is_prefix = true;
    switch (byte) {
      case 0x66:
        prefixes.operand_size = true;
        break;
      case 0x67:
        prefixes.address_size = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.repeat = true;
        break;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        prefixes.segment = static_cast<std::uint8_t>((byte - 0x26) / 8);
        break;
      case 0x64:
      case 0x65:
        prefixes.segment = static_cast<std::uint8_t>(4 + byte - 0x64);
        break;
      case 0xf0:  // LOCK: where it is not allowed, #UD came first
        break;
      default:
        is_prefix = false;
    }
    if (!is_prefix) break;
  }
  if (code == CodeSize::k64 && prefixes.length < count &&
      (bytes[prefixes.length] & 0xf0) == 0x40) {
    prefixes.rex = bytes[prefixes.length++];
  }
  return prefixes;
}

std::uint8_t OperandBytes(const Prefixes& prefixes, CodeSize code) {
  if (prefixes.rex_w()) return 8;
  const bool is_16 = (code == CodeSize::k16) != prefixes.operand_size;
  return is_16 ? 2 : 4;
}

std::uint8_t AddressBytes(const Prefixes& prefixes, CodeSize code) {
  switch (code) {
    case CodeSize::k64:
      return prefixes.address_size ? 4 : 8;
    case CodeSize::k32:
      return prefixes.address_size ? 2 : 4;
    case CodeSize::k16:
      return prefixes.address_size ? 4 : 2;
  }
  return 8;
}

// ModRM, SIB and displacement at bytes[*at]; *at goes behind them. False: a
// register operand, or cut short.
bool ReadModRm(const std::uint8_t* bytes, std::size_t count,
               std::uint8_t address_bytes, std::size_t* at, unsigned* reg) {
  if (*at >= count) return false;
  const unsigned modrm = bytes[(*at)++];
  const unsigned mod = modrm >> 6;
  const unsigned rm = modrm & 7;
  *reg = (modrm >> 3) & 7;
  if (mod == 3) return false;
  std::size_t displacement = mod == 1 ? 1 : 0;
  if (address_bytes == 2) {
    if (mod == 2 || (mod == 0 && rm == 6)) displacement = 2;
  } else {
    if (mod == 2 || (mod == 0 && rm == 5)) displacement = 4;
    if (rm == 4) {
      if (*at >= count) return false;
      const unsigned base = bytes[(*at)++] & 7;
      if (mod == 0 && base == 5) displacement = 4;
    }
  }
  *at += displacement;
  return *at <= count;
}

std::uint64_t ReadImmediate(const std::uint8_t* bytes, unsigned size) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    value |= std::uint64_t{bytes[i]} << (8 * i);
  }
  return value;
}

std::uint64_t SignExtend(std::uint64_t value, unsigned bytes) {
  const unsigned shift = 64 - 8 * bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >>
                                    shift);
}

std::uint64_t LowBytes(std::uint64_t value, unsigned bytes) {
  return bytes >= 8 ? value : value & ((std::uint64_t{1} << (8 * bytes)) - 1);
}

// What an opcode byte says, behind 0F if `two_byte`.
struct Opcode {
  bool known = false;
  bool has_modrm = false;
  bool is_byte = false;  // else of operand size
  Kind kind = Kind::kLoad;
  Operation operation = Operation::kAdd;
  bool register_is_first = false;
  bool is_group = false;  // ModRM's register field says which operation
};

// 00 to 3F: eight operations, in four forms with ModRM each.
Opcode FindArithmetic(std::uint8_t byte) {
  const unsigned form = byte & 7;
  if (form > 3) return {};
  Opcode opcode = {.known = true, .has_modrm = true, .is_byte = form % 2 == 0};
  opcode.operation = static_cast<Operation>(byte >> 3);
  opcode.register_is_first = form >= 2;
  opcode.kind = opcode.register_is_first ? Kind::kCombine : Kind::kModify;
  if (opcode.operation == Operation::kCompare) opcode.kind = Kind::kCompare;
  return opcode;
}

// Groups 1, 3, 4 and 5 by ModRM's register field. False: none of those.
bool ResolveGroup(std::uint8_t byte, unsigned reg,
                  MemoryInstruction* instruction, bool* has_immediate) {
  instruction->kind = Kind::kModify;
  *has_immediate = true;
  if (byte <= 0x83) {
    instruction->operation = static_cast<Operation>(reg);
  } else if (byte >= 0xfe) {
    *has_immediate = false;
    if (reg > 1) return false;
    instruction->operation =
        reg == 0 ? Operation::kIncrement : Operation::kDecrement;
  } else {
    *has_immediate = reg <= 1;
    if (reg > 3) return false;
    instruction->operation = reg <= 1   ? Operation::kTest
                             : reg == 2 ? Operation::kNot
                                        : Operation::kNegate;
  }
  if (instruction->operation == Operation::kCompare ||
      instruction->operation == Operation::kTest) {
    instruction->kind = Kind::kCompare;
  }
  return true;
}

Opcode FindOpcode(std::uint8_t byte, bool two_byte) {
  if (two_byte) {
    switch (byte) {
      case 0xb6:
      case 0xb7:
        return {true, true, byte == 0xb6, Kind::kLoadZeroExtend};
      case 0xbe:
      case 0xbf:
        return {true, true, byte == 0xbe, Kind::kLoadSignExtend};
      default:
        return {};
    }
  }
  const bool is_byte = (byte & 1) == 0;
  if (byte < 0x40) return FindArithmetic(byte);
  switch (byte) {
    case 0x80:
    case 0x81:
    case 0x83:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
      return {.known = true,
              .has_modrm = true,
              .is_byte = is_byte,
              .is_group = true};
    case 0x84:
    case 0x85:
      return {true, true, is_byte, Kind::kCompare, Operation::kTest};
    case 0x86:
    case 0x87:
      return {true, true, is_byte, Kind::kModify, Operation::kExchange};
    case 0x63:
      return {true, true, false, Kind::kLoadSignExtend};
    case 0x88:
    case 0x89:
      return {true, true, is_byte, Kind::kStoreRegister};
    case 0x8a:
    case 0x8b:
      return {true, true, is_byte, Kind::kLoad};
    case 0xa0:
    case 0xa1:
      return {true, false, is_byte, Kind::kLoad};
    case 0xa2:
    case 0xa3:
      return {true, false, is_byte, Kind::kStoreRegister};
    case 0xaa:
    case 0xab:
      return {true, false, is_byte, Kind::kStoreString};
    case 0xac:
    case 0xad:
      return {true, false, is_byte, Kind::kLoadString};
    case 0xc6:
    case 0xc7:
      return {true, true, is_byte, Kind::kStoreImmediate};
    default:
      return {};
  }
}

// RSI, RDI and RCX as wide as the address size says.
void Advance(std::uint64_t& target, std::uint64_t by, unsigned bytes) {
  SetRegister(target, target + by, bytes);
}

}  // namespace

bool DecodeMemoryInstruction(const std::uint8_t* bytes, std::size_t count,
                             CodeSize code, MemoryInstruction* instruction) {
  if (count > kMaxInstructionBytes) count = kMaxInstructionBytes;
  const Prefixes prefixes = ReadPrefixes(bytes, count, code);
  std::size_t at = prefixes.length;
  const bool two_byte = at < count && bytes[at] == 0x0f;
  if (two_byte) ++at;
  if (at >= count) return false;
  const std::uint8_t byte = bytes[at++];
  const Opcode opcode = FindOpcode(byte, two_byte);
  // 63 is ARPL outside 64-bit mode.
  if (!opcode.known || (!two_byte && byte == 0x63 && code != CodeSize::k64)) {
    return false;
  }
  *instruction = {};
  MemoryInstruction& found = *instruction;
  const std::uint8_t operand = OperandBytes(prefixes, code);
  found.kind = opcode.kind;
  found.operation = opcode.operation;
  found.register_is_first = opcode.register_is_first;
  found.address_bytes = AddressBytes(prefixes, code);
  found.access_bytes = opcode.is_byte ? 1 : operand;
  found.register_bytes = found.access_bytes;
  unsigned reg = 0;
  if (opcode.has_modrm) {
    if (!ReadModRm(bytes, count, found.address_bytes, &at, &reg)) return false;
  } else if (byte >= 0xa0 && byte <= 0xa3) {
    at += found.address_bytes;  // moffs
  }
  if (opcode.is_group) {
    if (!ResolveGroup(byte, reg, &found, &found.has_immediate)) return false;
    // 83 has one byte for operands of all sizes.
    const unsigned size = operand == 8 ? 4 : operand;
    const unsigned own = opcode.is_byte || byte == 0x83 ? 1 : size;
    if (found.has_immediate) {
      if (at + own > count) return false;
      found.immediate = SignExtend(ReadImmediate(bytes + at, own), own);
      at += own;
    }
    reg = 0;
  }
  switch (found.kind) {
    case Kind::kLoadZeroExtend:
    case Kind::kLoadSignExtend:
      found.register_bytes = operand;
      if (!opcode.is_byte) found.access_bytes = two_byte ? 2 : 4;
      break;
    case Kind::kStoreImmediate: {
      if (reg != 0) return false;
      const unsigned size = operand == 8 ? 4 : operand;
      const unsigned own = opcode.is_byte ? 1 : size;
      if (at + own > count) return false;
      found.immediate = SignExtend(ReadImmediate(bytes + at, own), own);
      at += own;
      break;
    }
    case Kind::kStoreString:
    case Kind::kLoadString:
      found.repeats = prefixes.repeat;
      break;
    default:
      break;
  }
  if (at > count) return false;
  // AH to BH: byte registers 4 to 7, without REX; the source of MOVZX and MOVSX
  // is the memory.
  const bool byte_register = opcode.is_byte && opcode.has_modrm &&
                             !opcode.is_group &&
                             found.kind != Kind::kStoreImmediate &&
                             found.kind != Kind::kLoadZeroExtend &&
                             found.kind != Kind::kLoadSignExtend;
  found.high_byte = byte_register && prefixes.rex == 0 && reg >= 4;
  if (found.high_byte) reg -= 4;
  found.gpr = static_cast<std::uint8_t>(reg + (prefixes.rex_r() ? 8 : 0));
  found.length = static_cast<std::uint8_t>(at);
  return true;
}

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

StringPrefixes DecodeStringPrefixes(const std::uint8_t* bytes,
                                    std::size_t count, CodeSize code) {
  const Prefixes prefixes = ReadPrefixes(bytes, count, code);
  return {.address_bytes = AddressBytes(prefixes, code),
          .segment = prefixes.segment};
}

}  // namespace worldswitch
