#include "backends/native/memory_instruction.h"

namespace worldswitch {
namespace {

using Kind = MemoryInstruction::Kind;

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
      case 0xf0:  // LOCK: no MOV takes it; its #UD came first
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
};

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
  switch (byte) {
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
  found.address_bytes = AddressBytes(prefixes, code);
  found.access_bytes = opcode.is_byte ? 1 : operand;
  found.register_bytes = found.access_bytes;
  unsigned reg = 0;
  if (opcode.has_modrm) {
    if (!ReadModRm(bytes, count, found.address_bytes, &at, &reg)) return false;
  } else if (byte >= 0xa0 && byte <= 0xa3) {
    at += found.address_bytes;  // moffs
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
  const bool byte_register =
      opcode.is_byte && opcode.has_modrm &&
      (found.kind == Kind::kStoreRegister || found.kind == Kind::kLoad);
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
    case Kind::kLoadSignExtend:
      value = SignExtend(value, instruction.access_bytes);
      [[fallthrough]];
    case Kind::kLoadZeroExtend:
      SetRegister(target, value, instruction.register_bytes);
      return true;
    case Kind::kLoad:
      if (instruction.high_byte) {
        target = (target & ~std::uint64_t{0xff00}) | value << 8;
      } else {
        SetRegister(target, value, instruction.register_bytes);
      }
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
