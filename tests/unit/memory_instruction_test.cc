// Device accesses, decoded and done: the bytes are the assembler's, and what
// arithmetic makes of flags is the CPU's own word.

#include "backends/native/memory_instruction.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using Kind = MemoryInstruction::Kind;
using Operation = MemoryInstruction::Operation;
using Bytes = std::vector<std::uint8_t>;

// The bytes of one instruction, with %% for %. bits: "16", "32" or "64".
#define ASSEMBLE(bits, text)                                 \
  ([] {                                                      \
    const std::uint8_t* begin = nullptr;                     \
    const std::uint8_t* end = nullptr;                       \
    asm(".pushsection .rodata\n.code" bits "\n771:\n\t" text \
        "\n772:\n.code64\n.popsection\n\t"                   \
        "lea 771b(%%rip), %0\n\tlea 772b(%%rip), %1"         \
        : "=&r"(begin), "=&r"(end));                         \
    return Bytes(begin, end);                                \
  }())

struct Expected {
  Kind kind;
  unsigned access_bytes;
  unsigned register_bytes;
  unsigned gpr;
  bool high_byte = false;
};

MemoryInstruction Decode(const Bytes& bytes, CodeSize code) {
  MemoryInstruction instruction;
  EXPECT_TRUE(
      DecodeMemoryInstruction(bytes.data(), bytes.size(), code, &instruction))
      << ::testing::PrintToString(bytes);
  return instruction;
}

void ExpectDecoded(const Bytes& bytes, CodeSize code,
                   const Expected& expected) {
  SCOPED_TRACE(::testing::PrintToString(bytes));
  const MemoryInstruction found = Decode(bytes, code);
  EXPECT_EQ(found.kind, expected.kind);
  EXPECT_EQ(found.length, bytes.size());
  EXPECT_EQ(found.access_bytes, expected.access_bytes);
  EXPECT_EQ(found.register_bytes, expected.register_bytes);
  EXPECT_EQ(found.gpr, expected.gpr);
  EXPECT_EQ(found.high_byte, expected.high_byte);
}

// ---- MOV --------------------------------------------------------------------

TEST(MemoryInstruction, StoresAndLoadsOfEverySizeIn64BitMode) {
  constexpr auto kCode = CodeSize::k64;
  ExpectDecoded(ASSEMBLE("64", "mov %%cl, (%%rax)"), kCode,
                {Kind::kStoreRegister, 1, 1, 1});
  ExpectDecoded(ASSEMBLE("64", "mov %%dx, (%%rax)"), kCode,
                {Kind::kStoreRegister, 2, 2, 2});
  ExpectDecoded(ASSEMBLE("64", "mov %%ebx, (%%rax)"), kCode,
                {Kind::kStoreRegister, 4, 4, 3});
  ExpectDecoded(ASSEMBLE("64", "mov %%rsi, (%%rax)"), kCode,
                {Kind::kStoreRegister, 8, 8, 6});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rax), %%cl"), kCode,
                {Kind::kLoad, 1, 1, 1});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rax), %%dx"), kCode,
                {Kind::kLoad, 2, 2, 2});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rax), %%esp"), kCode,
                {Kind::kLoad, 4, 4, 4});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rax), %%r15"), kCode,
                {Kind::kLoad, 8, 8, 15});
}

TEST(MemoryInstruction, EveryRegister) {
  const Bytes stores[] = {ASSEMBLE("64", "mov %%eax, (%%rdi)"),
                          ASSEMBLE("64", "mov %%ecx, (%%rdi)"),
                          ASSEMBLE("64", "mov %%edx, (%%rdi)"),
                          ASSEMBLE("64", "mov %%ebx, (%%rdi)"),
                          ASSEMBLE("64", "mov %%esp, (%%rdi)"),
                          ASSEMBLE("64", "mov %%ebp, (%%rdi)"),
                          ASSEMBLE("64", "mov %%esi, (%%rdi)"),
                          ASSEMBLE("64", "mov %%edi, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r8d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r9d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r10d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r11d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r12d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r13d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r14d, (%%rdi)"),
                          ASSEMBLE("64", "mov %%r15d, (%%rdi)")};
  for (unsigned i = 0; i < 16; ++i) {
    ExpectDecoded(stores[i], CodeSize::k64, {Kind::kStoreRegister, 4, 4, i});
  }
}

TEST(MemoryInstruction, HighByteRegistersAreThoseWithoutRex) {
  constexpr auto kCode = CodeSize::k64;
  ExpectDecoded(ASSEMBLE("64", "mov %%ah, (%%rsi)"), kCode,
                {Kind::kStoreRegister, 1, 1, 0, true});
  ExpectDecoded(ASSEMBLE("64", "mov %%ch, (%%rsi)"), kCode,
                {Kind::kStoreRegister, 1, 1, 1, true});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rsi), %%dh"), kCode,
                {Kind::kLoad, 1, 1, 2, true});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rsi), %%bh"), kCode,
                {Kind::kLoad, 1, 1, 3, true});
  ExpectDecoded(ASSEMBLE("64", "mov %%spl, (%%rsi)"), kCode,
                {Kind::kStoreRegister, 1, 1, 4});
  ExpectDecoded(ASSEMBLE("64", "mov (%%rsi), %%dil"), kCode,
                {Kind::kLoad, 1, 1, 7});
  ExpectDecoded(ASSEMBLE("64", "mov %%r12b, (%%rsi)"), kCode,
                {Kind::kStoreRegister, 1, 1, 12});
  ExpectDecoded(ASSEMBLE("16", "mov %%bh, (%%si)"), CodeSize::k16,
                {Kind::kStoreRegister, 1, 1, 3, true});
  ExpectDecoded(ASSEMBLE("64", "add %%ah, (%%rsi)"), kCode,
                {Kind::kModify, 1, 1, 0, true});
  ExpectDecoded(ASSEMBLE("64", "xchg %%dh, (%%rsi)"), kCode,
                {Kind::kModify, 1, 1, 2, true});
}

TEST(MemoryInstruction, WidthsInOtherModes) {
  ExpectDecoded(ASSEMBLE("16", "mov %%ax, (%%bx)"), CodeSize::k16,
                {Kind::kStoreRegister, 2, 2, 0});
  ExpectDecoded(ASSEMBLE("16", "mov %%eax, (%%bx)"), CodeSize::k16,
                {Kind::kStoreRegister, 4, 4, 0});
  ExpectDecoded(ASSEMBLE("16", "mov (%%ebx), %%eax"), CodeSize::k16,
                {Kind::kLoad, 4, 4, 0});
  ExpectDecoded(ASSEMBLE("32", "mov %%ax, (%%ebx)"), CodeSize::k32,
                {Kind::kStoreRegister, 2, 2, 0});
  ExpectDecoded(ASSEMBLE("32", "mov (%%bx), %%edi"), CodeSize::k32,
                {Kind::kLoad, 4, 4, 7});
  ExpectDecoded(ASSEMBLE("64", "mov (%%ebx), %%edi"), CodeSize::k64,
                {Kind::kLoad, 4, 4, 7});
}

TEST(MemoryInstruction, ImmediatesAreSignExtended) {
  const MemoryInstruction byte =
      Decode(ASSEMBLE("64", "movb $0x80, 8(%%rax)"), CodeSize::k64);
  EXPECT_EQ(byte.kind, Kind::kStoreImmediate);
  EXPECT_EQ(byte.access_bytes, 1);
  const GeneralRegisters none = {};
  EXPECT_EQ(StoredValue(byte, none), 0x80u);
  EXPECT_EQ(
      StoredValue(
          Decode(ASSEMBLE("64", "movw $0x8001, (%%rax)"), CodeSize::k64), none),
      0x8001u);
  EXPECT_EQ(StoredValue(Decode(ASSEMBLE("64", "movl $0x80000002, (%%rax)"),
                               CodeSize::k64),
                        none),
            0x8000'0002u);
  EXPECT_EQ(
      StoredValue(Decode(ASSEMBLE("64", "movq $-3, (%%rax)"), CodeSize::k64),
                  none),
      0xffff'ffff'ffff'fffdu);
  EXPECT_EQ(
      StoredValue(Decode(ASSEMBLE("16", "movw $0x1234, (%%si)"), CodeSize::k16),
                  none),
      0x1234u);
}

// Assemblers differ in which form they take, so these are bytes.
TEST(MemoryInstruction, AbsoluteAddresses) {
  ExpectDecoded({0xa2, 1, 2, 3, 4, 5, 6, 7, 8}, CodeSize::k64,
                {Kind::kStoreRegister, 1, 1, 0});
  ExpectDecoded({0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8}, CodeSize::k64,
                {Kind::kLoad, 8, 8, 0});
  ExpectDecoded({0x67, 0xa1, 1, 2, 3, 4}, CodeSize::k64,
                {Kind::kLoad, 4, 4, 0});
  ExpectDecoded({0xa3, 1, 2, 3, 4}, CodeSize::k32,
                {Kind::kStoreRegister, 4, 4, 0});
  ExpectDecoded({0x66, 0x67, 0xa3, 1, 2}, CodeSize::k32,
                {Kind::kStoreRegister, 2, 2, 0});
  ExpectDecoded({0xa3, 1, 2}, CodeSize::k16, {Kind::kStoreRegister, 2, 2, 0});
  // AL, not AH: the accumulator is in no ModRM.
  ExpectDecoded({0xa0, 1, 2}, CodeSize::k16, {Kind::kLoad, 1, 1, 0});
}

TEST(MemoryInstruction, ExtendingLoads) {
  constexpr auto kCode = CodeSize::k64;
  ExpectDecoded(ASSEMBLE("64", "movzbl (%%rax), %%ecx"), kCode,
                {Kind::kLoadZeroExtend, 1, 4, 1});
  ExpectDecoded(ASSEMBLE("64", "movzbw (%%rax), %%cx"), kCode,
                {Kind::kLoadZeroExtend, 1, 2, 1});
  ExpectDecoded(ASSEMBLE("64", "movzwl (%%rax), %%ebp"), kCode,
                {Kind::kLoadZeroExtend, 2, 4, 5});
  ExpectDecoded(ASSEMBLE("64", "movzwq (%%rax), %%r9"), kCode,
                {Kind::kLoadZeroExtend, 2, 8, 9});
  ExpectDecoded(ASSEMBLE("64", "movsbq (%%rax), %%rdx"), kCode,
                {Kind::kLoadSignExtend, 1, 8, 2});
  ExpectDecoded(ASSEMBLE("64", "movswl (%%rax), %%edx"), kCode,
                {Kind::kLoadSignExtend, 2, 4, 2});
  ExpectDecoded(ASSEMBLE("64", "movslq (%%rax), %%r10"), kCode,
                {Kind::kLoadSignExtend, 4, 8, 10});
  // Of SPL, BPL and so on there is nothing: the register is a wide one.
  ExpectDecoded(ASSEMBLE("64", "movzbl (%%rax), %%esp"), kCode,
                {Kind::kLoadZeroExtend, 1, 4, 4});
}

TEST(MemoryInstruction, StringStoresAndLoads) {
  ExpectDecoded(ASSEMBLE("64", "stosb"), CodeSize::k64,
                {Kind::kStoreString, 1, 1, 0});
  ExpectDecoded(ASSEMBLE("64", "stosq"), CodeSize::k64,
                {Kind::kStoreString, 8, 8, 0});
  ExpectDecoded(ASSEMBLE("16", "lodsl"), CodeSize::k16,
                {Kind::kLoadString, 4, 4, 0});
  const MemoryInstruction repeated =
      Decode(ASSEMBLE("64", "rep stosl"), CodeSize::k64);
  EXPECT_TRUE(repeated.repeats);
  EXPECT_EQ(repeated.address_bytes, 8);
  EXPECT_FALSE(Decode(ASSEMBLE("64", "stosl"), CodeSize::k64).repeats);
  EXPECT_EQ(
      Decode(ASSEMBLE("64", "rep stosb (%%edi)"), CodeSize::k64).address_bytes,
      4);
  EXPECT_EQ(Decode(ASSEMBLE("16", "rep stosb"), CodeSize::k16).address_bytes,
            2);
}

// ---- Forms ------------------------------------------------------------------

TEST(MemoryInstruction, PrefixesInAnyOrderCountIntoTheLength) {
  const Bytes bare = {0x8b, 0x07};
  const std::uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64,
                                   0x65, 0xf2, 0xf3, 0xf0};
  for (const std::uint8_t first : prefixes) {
    for (const std::uint8_t second : prefixes) {
      Bytes bytes = {first, second};
      bytes.insert(bytes.end(), bare.begin(), bare.end());
      ExpectDecoded(bytes, CodeSize::k64, {Kind::kLoad, 4, 4, 0});
    }
  }
  // REX counts only right in front of the opcode; W beats 66.
  ExpectDecoded({0x66, 0x48, 0x8b, 0x07}, CodeSize::k64,
                {Kind::kLoad, 8, 8, 0});
  // 40 to 4F are INC and DEC elsewhere: no memory.
  MemoryInstruction none;
  const Bytes inc = {0x48, 0x8b, 0x07};
  EXPECT_FALSE(
      DecodeMemoryInstruction(inc.data(), inc.size(), CodeSize::k32, &none));
}

// Length of ModRM, SIB and displacement by the SDM's tables 2-1 to 2-3.
unsigned AddressLength(unsigned mod, unsigned rm, unsigned sib_base,
                       bool is_16) {
  constexpr unsigned k16[3] = {0, 1, 2};
  constexpr unsigned k32[3] = {0, 1, 4};
  if (is_16) return 1 + (mod == 0 && rm == 6 ? 2 : k16[mod]);
  const unsigned sib = rm == 4 ? 1 : 0;
  const bool no_base = mod == 0 && (rm == 5 || (rm == 4 && sib_base == 5));
  return 1 + sib + (no_base ? 4 : k32[mod]);
}

TEST(MemoryInstruction, EveryAddressForm) {
  for (const CodeSize code : {CodeSize::k16, CodeSize::k32, CodeSize::k64}) {
    for (const bool address_prefix : {false, true}) {
      const bool is_16 = (code == CodeSize::k16 && !address_prefix) ||
                         (code == CodeSize::k32 && address_prefix);
      for (unsigned modrm = 0; modrm < 256; ++modrm) {
        for (unsigned sib = 0; sib < 256; ++sib) {
          Bytes bytes;
          if (address_prefix) bytes.push_back(0x67);
          bytes.push_back(0x8b);
          bytes.push_back(static_cast<std::uint8_t>(modrm));
          bytes.push_back(static_cast<std::uint8_t>(sib));
          bytes.resize(kMaxInstructionBytes);
          MemoryInstruction found;
          const bool decoded =
              DecodeMemoryInstruction(bytes.data(), bytes.size(), code, &found);
          ASSERT_EQ(decoded, modrm >> 6 != 3) << modrm;
          if (!decoded) break;
          const unsigned expected =
              1 + (address_prefix ? 1 : 0) +
              AddressLength(modrm >> 6, modrm & 7, sib & 7, is_16);
          ASSERT_EQ(found.length, expected) << modrm << " " << sib;
        }
      }
    }
  }
}

TEST(MemoryInstruction, NothingIsReadBehindTheBytesThereAre) {
  const std::pair<Bytes, CodeSize> whole[] = {
      {ASSEMBLE("64", "mov %%eax, (%%rdi)"), CodeSize::k64},
      {ASSEMBLE("64", "movq $0x11223344, 0x11223344(%%rax,%%rbx,4)"),
       CodeSize::k64},
      {ASSEMBLE("64", "movabs %%al, 0x1122334455667788"), CodeSize::k64},
      {ASSEMBLE("64", "movzwq 0x11(%%r12), %%r9"), CodeSize::k64},
      {ASSEMBLE("64", "lock addq $0x11223344, 0x55(%%r12)"), CodeSize::k64},
      {ASSEMBLE("64", "rep stosq"), CodeSize::k64},
      {ASSEMBLE("32", "testl $0x11223344, 0x44332211"), CodeSize::k32},
      {ASSEMBLE("16", "addl $0x10, %%es:8"), CodeSize::k16},
  };
  for (const auto& [bytes, code] : whole) {
    Decode(bytes, code);
    for (std::size_t count = 0; count < bytes.size(); ++count) {
      // On the heap, so that a sanitizer sees the end.
      const Bytes cut(bytes.begin(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(count));
      MemoryInstruction none;
      EXPECT_FALSE(DecodeMemoryInstruction(cut.data(), cut.size(), code, &none))
          << count << " of " << ::testing::PrintToString(bytes);
    }
  }
}

TEST(MemoryInstruction, FifteenBytesAreTheMost) {
  Bytes bytes(13, 0x2e);
  bytes.push_back(0x8b);
  bytes.push_back(0x07);
  EXPECT_EQ(Decode(bytes, CodeSize::k64).length, 15);
  bytes.insert(bytes.begin(), 0x2e);
  MemoryInstruction none;
  EXPECT_FALSE(DecodeMemoryInstruction(bytes.data(), bytes.size(),
                                       CodeSize::k64, &none));
}

// All opcodes, with ModRM register fields 0 to 7: known, or refused.
TEST(MemoryInstruction, OpcodesThatAreNotUnderstoodAreRefused) {
  std::set<unsigned> known;
  for (unsigned operation = 0; operation < 8; ++operation) {
    for (unsigned form = 0; form < 4; ++form)
      known.insert(operation * 8 + form);
  }
  for (const unsigned byte :
       {0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86,  0x87,  0x88,  0x89,
        0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3, 0xaa,  0xab,  0xac,  0xad,
        0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff, 0xfb6, 0xfb7, 0xfbe, 0xfbf}) {
    known.insert(byte);
  }
  const std::set<unsigned> prefixes = {0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64,
                                       0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
  for (unsigned opcode = 0; opcode < 0x200; ++opcode) {
    const bool two_bytes = opcode >= 0x100;
    const unsigned byte = opcode & 0xff;
    if (!two_bytes && (prefixes.contains(byte) || (byte & 0xf0) == 0x40)) {
      continue;
    }
    const bool is_known = known.contains(two_bytes ? 0xf00 + byte : byte);
    bool decoded = false;
    for (unsigned reg = 0; reg < 8; ++reg) {
      Bytes bytes;
      if (two_bytes) bytes.push_back(0x0f);
      bytes.push_back(static_cast<std::uint8_t>(byte));
      bytes.push_back(static_cast<std::uint8_t>(reg << 3));
      bytes.resize(kMaxInstructionBytes);
      MemoryInstruction found;
      decoded = DecodeMemoryInstruction(bytes.data(), bytes.size(),
                                        CodeSize::k64, &found) ||
                decoded;
    }
    EXPECT_EQ(decoded, is_known) << std::hex << opcode;
  }
}

TEST(MemoryInstruction, GroupsByTheirRegisterField) {
  const auto decodes = [](std::uint8_t opcode, unsigned reg) {
    Bytes bytes = {opcode, static_cast<std::uint8_t>(reg << 3)};
    bytes.resize(kMaxInstructionBytes);
    MemoryInstruction found;
    return DecodeMemoryInstruction(bytes.data(), bytes.size(), CodeSize::k64,
                                   &found);
  };
  for (unsigned reg = 0; reg < 8; ++reg) {
    EXPECT_TRUE(decodes(0x83, reg)) << reg;
    EXPECT_EQ(decodes(0xc7, reg), reg == 0) << reg;
    EXPECT_EQ(decodes(0xf7, reg), reg <= 3) << reg;  // not MUL to IDIV
    EXPECT_EQ(decodes(0xff, reg), reg <= 1) << reg;  // not CALL, JMP, PUSH
    EXPECT_EQ(decodes(0xfe, reg), reg <= 1) << reg;
  }
  // MOVSXD is ARPL outside 64-bit mode.
  const Bytes arpl = {0x63, 0x07};
  MemoryInstruction none;
  EXPECT_FALSE(
      DecodeMemoryInstruction(arpl.data(), arpl.size(), CodeSize::k32, &none));
}

TEST(MemoryInstruction, StringPrefixes) {
  const auto prefixes = [](const Bytes& bytes, CodeSize code) {
    return DecodeStringPrefixes(bytes.data(), bytes.size(), code);
  };
  EXPECT_EQ(prefixes({0x6e}, CodeSize::k64).address_bytes, 8);
  EXPECT_EQ(prefixes({0x67, 0x6e}, CodeSize::k64).address_bytes, 4);
  EXPECT_EQ(prefixes({0x6e}, CodeSize::k16).address_bytes, 2);
  EXPECT_EQ(prefixes({0x67, 0x6e}, CodeSize::k16).address_bytes, 4);
  EXPECT_EQ(prefixes({0x67, 0x6e}, CodeSize::k32).address_bytes, 2);
  const std::uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
  for (std::uint8_t i = 0; i < 6; ++i) {
    EXPECT_EQ(prefixes({0xf3, segments[i], 0x6e}, CodeSize::k16).segment, i);
  }
  EXPECT_EQ(prefixes({0xf3, 0x6e}, CodeSize::k16).segment, 3);
}

// ---- What they do -----------------------------------------------------------

TEST(MemoryInstruction, LoadsLeaveOrClearTheRestOfTheRegister) {
  constexpr std::uint64_t kBefore = 0x1122'3344'5566'7788;
  constexpr std::uint64_t kRead = 0xfedc'ba98'7654'32f0;
  const auto load = [](const Bytes& bytes) {
    GeneralRegisters registers = {};
    registers.rcx = kBefore;
    const MemoryInstruction instruction = Decode(bytes, CodeSize::k64);
    EXPECT_TRUE(FinishMemoryInstruction(instruction, kRead, registers));
    return registers.rcx;
  };
  EXPECT_EQ(load(ASSEMBLE("64", "mov (%%rax), %%cl")), 0x1122'3344'5566'77f0u);
  EXPECT_EQ(load(ASSEMBLE("64", "mov (%%rax), %%ch")), 0x1122'3344'5566'f088u);
  EXPECT_EQ(load(ASSEMBLE("64", "mov (%%rax), %%cx")), 0x1122'3344'5566'32f0u);
  EXPECT_EQ(load(ASSEMBLE("64", "mov (%%rax), %%ecx")), 0x7654'32f0u);
  EXPECT_EQ(load(ASSEMBLE("64", "mov (%%rax), %%rcx")), kRead);
  EXPECT_EQ(load(ASSEMBLE("64", "movzbl (%%rax), %%ecx")), 0xf0u);
  EXPECT_EQ(load(ASSEMBLE("64", "movzbw (%%rax), %%cx")),
            0x1122'3344'5566'00f0u);
  EXPECT_EQ(load(ASSEMBLE("64", "movsbl (%%rax), %%ecx")), 0xffff'fff0u);
  EXPECT_EQ(load(ASSEMBLE("64", "movsbq (%%rax), %%rcx")),
            0xffff'ffff'ffff'fff0u);
  EXPECT_EQ(load(ASSEMBLE("64", "movsbw (%%rax), %%cx")),
            0x1122'3344'5566'fff0u);
  EXPECT_EQ(load(ASSEMBLE("64", "movslq (%%rax), %%rcx")), 0x7654'32f0u);
}

TEST(MemoryInstruction, StoresTakeTheirPartOfTheRegister) {
  GeneralRegisters registers = {};
  registers.rdx = 0x1122'3344'5566'7788;
  const auto stored = [&registers](const Bytes& bytes) {
    return StoredValue(Decode(bytes, CodeSize::k64), registers);
  };
  EXPECT_EQ(stored(ASSEMBLE("64", "mov %%dl, (%%rax)")), 0x88u);
  EXPECT_EQ(stored(ASSEMBLE("64", "mov %%dh, (%%rax)")), 0x77u);
  EXPECT_EQ(stored(ASSEMBLE("64", "mov %%dx, (%%rax)")), 0x7788u);
  EXPECT_EQ(stored(ASSEMBLE("64", "mov %%edx, (%%rax)")), 0x5566'7788u);
  EXPECT_EQ(stored(ASSEMBLE("64", "mov %%rdx, (%%rax)")), registers.rdx);
}

TEST(MemoryInstruction, StringsMoveTheirPointers) {
  GeneralRegisters registers = {};
  registers.rdi = 0xffff'ffff'0000'fffe;
  registers.rcx = 0x1'0000'0002;
  const MemoryInstruction words =
      Decode(ASSEMBLE("16", "rep stosw"), CodeSize::k16);
  EXPECT_FALSE(FinishMemoryInstruction(words, 0, registers));
  // 16-bit registers wrap, and the rest of them stays.
  EXPECT_EQ(registers.rdi, 0xffff'ffff'0000'0000u);
  EXPECT_EQ(registers.rcx, 0x1'0000'0001u);
  EXPECT_TRUE(FinishMemoryInstruction(words, 0, registers));
  EXPECT_EQ(registers.rcx, 0x1'0000'0000u);

  registers = {};
  registers.rsi = 0x1000;
  registers.rflags = 1 << 10;  // DF
  const MemoryInstruction quads =
      Decode(ASSEMBLE("64", "lodsq"), CodeSize::k64);
  EXPECT_TRUE(FinishMemoryInstruction(quads, 0x1234, registers));
  EXPECT_EQ(registers.rsi, 0xff8u);
  EXPECT_EQ(registers.rax, 0x1234u);
}

// ---- Arithmetic, against the CPU --------------------------------------------

constexpr std::uint64_t kAdjust = 1 << 4;
constexpr std::uint64_t kStatus = 0x8d5;  // CF, PF, AF, ZF, SF, OF

struct OnCpu {
  std::uint64_t memory;
  std::uint64_t reg;
  std::uint64_t rflags;
};

// Runs `text` with RSI leading to `memory`, RDX and the status flags as given.
// Below the red zone: a function that calls nobody keeps its variables there.
#define ON_CPU(text)                                                   \
  [](std::uint64_t memory, std::uint64_t reg, std::uint64_t rflags) {  \
    std::uint64_t flags = rflags;                                      \
    asm volatile("lea -128(%%rsp), %%rsp\n\tpush %2\n\tpopfq\n\t" text \
                 "\n\tpushfq\n\tpop %2\n\tlea 128(%%rsp), %%rsp"       \
                 : "+d"(reg), "=m"(memory), "+r"(flags)                \
                 : "S"(&memory), "m"(memory)                           \
                 : "cc", "memory");                                    \
    return OnCpu{memory, reg, flags};                                  \
  }

struct Arithmetic {
  const char* text;
  Bytes bytes;
  OnCpu (*run)(std::uint64_t, std::uint64_t, std::uint64_t);
  bool adjust_undefined = false;  // AF
};

#define ARITHMETIC(text) \
  Arithmetic { text, ASSEMBLE("64", text), ON_CPU(text) }
#define LOGIC(text) \
  Arithmetic { text, ASSEMBLE("64", text), ON_CPU(text), true }
#define SIZES(macro, name)                                            \
  macro(name "b %%dl, (%%rsi)"), macro(name "w %%dx, (%%rsi)"),       \
      macro(name "l %%edx, (%%rsi)"), macro(name "q %%rdx, (%%rsi)"), \
      macro(name "b %%dh, (%%rsi)")
#define LOADS(macro, name)                                            \
  macro(name "b (%%rsi), %%dl"), macro(name "w (%%rsi), %%dx"),       \
      macro(name "l (%%rsi), %%edx"), macro(name "q (%%rsi), %%rdx"), \
      macro(name "b (%%rsi), %%dh")
#define IMMEDIATES(macro, name)                                     \
  macro(name "b $0x91, (%%rsi)"), macro(name "w $0x9123, (%%rsi)"), \
      macro(name "l $0x91234567, (%%rsi)"), macro(name "q $-77777, (%%rsi)")
#define SHORT_IMMEDIATES(macro, name)                         \
  macro(name "w $-5, (%%rsi)"), macro(name "l $-5, (%%rsi)"), \
      macro(name "q $-5, (%%rsi)"), macro(name "q $5, (%%rsi)")
#define UNARY(macro, name)                                                   \
  macro(name "b (%%rsi)"), macro(name "w (%%rsi)"), macro(name "l (%%rsi)"), \
      macro(name "q (%%rsi)")
#define ALL_OF(macro, name)                                        \
  SIZES(macro, name), LOADS(macro, name), IMMEDIATES(macro, name), \
      SHORT_IMMEDIATES(macro, name)

TEST(MemoryInstruction, ArithmeticIsTheCpus) {
  const std::vector<Arithmetic> all = {
      ALL_OF(ARITHMETIC, "add"), ALL_OF(LOGIC, "or"),
      ALL_OF(ARITHMETIC, "adc"), ALL_OF(ARITHMETIC, "sbb"),
      ALL_OF(LOGIC, "and"),      ALL_OF(ARITHMETIC, "sub"),
      ALL_OF(LOGIC, "xor"),      ALL_OF(ARITHMETIC, "cmp"),
      SIZES(LOGIC, "test"),      IMMEDIATES(LOGIC, "test"),
      UNARY(ARITHMETIC, "inc"),  UNARY(ARITHMETIC, "dec"),
      UNARY(ARITHMETIC, "not"),  UNARY(ARITHMETIC, "neg"),
      SIZES(ARITHMETIC, "xchg"), ARITHMETIC("lock addl %%edx, (%%rsi)"),
  };
  const std::uint64_t edges[] = {0,
                                 1,
                                 0xf,
                                 0x10,
                                 0x7f,
                                 0x80,
                                 0xff,
                                 0x7fff,
                                 0x8000,
                                 0xffff,
                                 0x7fff'ffff,
                                 0x8000'0000,
                                 0xffff'ffff,
                                 0x7fff'ffff'ffff'ffff,
                                 0x8000'0000'0000'0000,
                                 0xffff'ffff'ffff'ffff};
  std::mt19937_64 random(1);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> operands;
  for (const std::uint64_t memory : edges) {
    for (const std::uint64_t reg : edges) operands.emplace_back(memory, reg);
  }
  for (int i = 0; i < 200; ++i) operands.emplace_back(random(), random());
  for (const Arithmetic& arithmetic : all) {
    SCOPED_TRACE(arithmetic.text);
    const MemoryInstruction instruction =
        Decode(arithmetic.bytes, CodeSize::k64);
    ASSERT_EQ(instruction.length, arithmetic.bytes.size());
    const std::uint64_t compared =
        arithmetic.adjust_undefined ? kStatus & ~kAdjust : kStatus;
    for (const auto& [memory, reg] : operands) {
      for (const std::uint64_t flags : {0x2u, 0x2u | 0x8d5u, 0x3u}) {
        const OnCpu cpu = arithmetic.run(memory, reg, flags);
        GeneralRegisters registers = {};
        registers.rdx = reg;
        registers.rflags = flags;
        std::uint64_t written = memory;
        if (instruction.is_read_modify_write()) {
          const std::uint64_t value =
              Compute(instruction, memory, registers).value;
          std::memcpy(&written, &value, instruction.access_bytes);
        }
        ASSERT_TRUE(FinishMemoryInstruction(instruction, memory, registers));
        ASSERT_EQ(written, cpu.memory) << std::hex << memory << " " << reg;
        ASSERT_EQ(registers.rdx, cpu.reg) << std::hex << memory << " " << reg;
        ASSERT_EQ(registers.rflags & compared, cpu.rflags & compared)
            << std::hex << memory << " " << reg << " " << flags;
      }
    }
  }
}

}  // namespace
}  // namespace worldswitch
