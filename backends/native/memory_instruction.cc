#include "backends/native/memory_instruction.h"

#include "backends/native/byte_values.h"

namespace worldswitch {
namespace {

using Kind = MemoryInstruction::Kind;
using Operation = MemoryInstruction::Operation;

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

// An immediate of `size` bytes at bytes[*at]; *at goes behind it. False: cut
// short.
bool TakeImmediate(const std::uint8_t* bytes, std::size_t count, unsigned size,
                   std::size_t* at, MemoryInstruction* instruction) {
  if (*at + size > count) return false;
  instruction->immediate = SignExtend(ReadImmediate(bytes + *at, size), size);
  *at += size;
  return true;
}

// AH to BH, or SPL to DIL with REX: ModRM names a byte register. The source of
// MOVZX and MOVSX is the memory, and their register a wide one.
bool NamesByteRegister(const Opcode& opcode) {
  return opcode.is_byte && opcode.has_modrm && !opcode.is_group &&
         opcode.kind != Kind::kStoreImmediate &&
         opcode.kind != Kind::kLoadZeroExtend &&
         opcode.kind != Kind::kLoadSignExtend;
}

bool IsString(Kind kind) {
  return kind == Kind::kStoreString || kind == Kind::kLoadString;
}

// MOVZX, MOVSX and MOVSXD read less than their register holds.
void SetWidths(const Opcode& opcode, bool two_byte, std::uint8_t operand,
               MemoryInstruction* found) {
  found->access_bytes = opcode.is_byte ? 1 : operand;
  found->register_bytes = found->access_bytes;
  if (found->kind != Kind::kLoadZeroExtend &&
      found->kind != Kind::kLoadSignExtend) {
    return;
  }
  found->register_bytes = operand;
  if (!opcode.is_byte) found->access_bytes = two_byte ? 2 : 4;
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
  SetWidths(opcode, two_byte, operand, &found);
  unsigned reg = 0;
  if (opcode.has_modrm) {
    if (!ReadModRm(bytes, count, found.address_bytes, &at, &reg)) return false;
  } else if (byte >= 0xa0 && byte <= 0xa3) {
    at += found.address_bytes;  // moffs
  }
  if (opcode.is_group) {
    if (!ResolveGroup(byte, reg, &found, &found.has_immediate)) return false;
    reg = 0;
  } else if (found.kind == Kind::kStoreImmediate) {
    if (reg != 0) return false;
    found.has_immediate = true;
  }
  if (found.has_immediate) {
    // 83 has one byte for operands of all sizes.
    const unsigned size = operand == 8 ? 4 : operand;
    const unsigned own = opcode.is_byte || byte == 0x83 ? 1 : size;
    if (!TakeImmediate(bytes, count, own, &at, &found)) return false;
  }
  found.repeats = prefixes.repeat && IsString(found.kind);
  if (at > count) return false;
  // Byte registers 4 to 7 without REX.
  found.high_byte = NamesByteRegister(opcode) && prefixes.rex == 0 && reg >= 4;
  if (found.high_byte) reg -= 4;
  found.gpr = static_cast<std::uint8_t>(reg + (prefixes.rex_r() ? 8 : 0));
  found.length = static_cast<std::uint8_t>(at);
  return true;
}

StringPrefixes DecodeStringPrefixes(const std::uint8_t* bytes,
                                    std::size_t count, CodeSize code) {
  const Prefixes prefixes = ReadPrefixes(bytes, count, code);
  return {.address_bytes = AddressBytes(prefixes, code),
          .segment = prefixes.segment};
}

}  // namespace worldswitch
