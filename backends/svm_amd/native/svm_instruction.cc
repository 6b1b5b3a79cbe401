#include "backends/svm_amd/native/svm_instruction.h"

namespace worldswitch::svm {
namespace {

bool IsLegacyPrefix(std::uint8_t byte) {
  switch (byte) {
    case 0x26:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xF0:
    case 0xF2:
    case 0xF3:
      return true;
    default:
      return false;
  }
}

struct Prefixes {
  std::size_t length = 0;
  std::uint8_t rex = 0;
  bool address_size = false;
};

Prefixes ReadPrefixes(const std::uint8_t* bytes, std::size_t count,
                      CodeSize code) {
  Prefixes out;
  for (; out.length < count; ++out.length) {
    const std::uint8_t byte = bytes[out.length];
    if (IsLegacyPrefix(byte)) {
      out.rex = 0;  // one that is not the last prefix means nothing
      out.address_size |= byte == 0x67;
    } else if (code == CodeSize::k64 && (byte & 0xF0) == 0x40) {
      out.rex = byte;
    } else {
      break;
    }
  }
  return out;
}

bool HasModRm(std::uint8_t second) {
  switch (second) {
    case 0x01:  // VMMCALL, XSETBV, RDTSCP, MONITOR, INVLPG, LMSW, ...
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23:  // MOV CR, MOV DR: ModRM.mod is not looked at
      return true;
    default:
      return false;
  }
}

// Bytes of SIB and displacement behind a ModRM that addresses memory.
std::size_t AddressBytes(const std::uint8_t* at, std::size_t count,
                         bool sixteen_bit) {
  const unsigned mod = at[0] >> 6;
  const unsigned rm = at[0] & 7;
  if (mod == 3) return 0;
  if (sixteen_bit) {
    if (mod == 0) return rm == 6 ? 2 : 0;
    return mod;
  }
  std::size_t bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  if (rm == 4) {
    ++bytes;
    if (mod == 0 && count > 1 && (at[1] & 7) == 5) bytes += 4;
  } else if (mod == 0 && rm == 5) {
    bytes += 4;
  }
  return bytes;
}

}  // namespace

DecodedInstruction DecodeIntercepted(const std::uint8_t* bytes,
                                     std::size_t count, CodeSize code) {
  const Prefixes prefixes = ReadPrefixes(bytes, count, code);
  std::size_t at = prefixes.length;
  DecodedInstruction out;
  if (at >= count) return out;
  const std::uint8_t first = bytes[at++];
  if (first == 0xF4 || first == 0x90) {  // HLT; PAUSE is REP NOP
    out.length = static_cast<std::uint8_t>(at);
    return out;
  }
  if (first != 0x0F || at >= count) return out;
  out.second = bytes[at++];
  if (HasModRm(out.second)) {
    if (at >= count) return {};
    out.modrm = bytes[at];
    out.gpr = static_cast<std::uint8_t>((out.modrm & 7) |
                                        ((prefixes.rex & 1) != 0 ? 8 : 0));
    std::size_t address = 0;
    if (!out.is_mov_cr_dr()) {
      const bool sixteen_bit = code != CodeSize::k64 &&
                               (code == CodeSize::k16) != prefixes.address_size;
      address = AddressBytes(bytes + at, count - at, sixteen_bit);
    }
    at += 1 + address;
  }
  if (at > count || at > kMaxInstructionBytes) return {};
  out.length = static_cast<std::uint8_t>(at);
  return out;
}

}  // namespace worldswitch::svm
