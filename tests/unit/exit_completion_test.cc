// What is left of an instruction behind its exit: results, pointers, RIP.

#include "backends/native/exit_completion.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kDirection = 1 << 10;
constexpr std::uint64_t kMemory = 0x8000;

class ExitCompletionTest : public ::testing::Test {
 protected:
  ExitCompletionTest() : bytes_(kMemory) {}

  GuestView View() {
    return {MemoryView{.host = bytes_.data(), .gpa = 0, .size = kMemory},
            GuestPaging{}};
  }
  static MemoryInstruction Decode(std::vector<std::uint8_t> bytes) {
    MemoryInstruction instruction;
    EXPECT_TRUE(DecodeMemoryInstruction(bytes.data(), bytes.size(),
                                        CodeSize::k64, &instruction));
    return instruction;
  }
  ExitCompletion::Effect Finish() {
    const ExitCompletion::Effect effect = completion_->Finish(registers_);
    EXPECT_FALSE(completion_->pending());
    return effect;
  }
  void Fill(std::uint64_t gpa, const std::string& text) {
    std::memcpy(bytes_.data() + gpa, text.data(), text.size());
  }
  std::string Text(std::uint64_t gpa, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes_.data()) + gpa, size};
  }
  static std::string Data(const IoExit& io) {
    return {static_cast<const char*>(io.data), std::size_t{io.size} * io.count};
  }

  std::vector<std::byte> bytes_;
  GeneralRegisters registers_ = {};
  std::unique_ptr<ExitCompletion> completion_ =
      std::make_unique<ExitCompletion>();
};

TEST_F(ExitCompletionTest, SkippingGoesOnByTheLength) {
  completion_->BeginSkip(3);
  EXPECT_TRUE(completion_->pending());
  const ExitCompletion::Effect effect = Finish();
  EXPECT_EQ(effect.advance, 3);
  EXPECT_FALSE(effect.general_protection);
  // A second time there is nothing.
  EXPECT_EQ(completion_->Finish(registers_).advance, 0);
}

TEST_F(ExitCompletionTest, OutShowsTheAccumulator) {
  registers_.rax = 0x1122334455667788;
  const IoExit io = completion_->BeginIo(
      {.port = 0x80, .size = 2, .is_write = true, .instruction_length = 2},
      registers_);
  EXPECT_TRUE(io.is_write);
  EXPECT_EQ(io.port, 0x80);
  EXPECT_EQ(io.size, 2);
  EXPECT_EQ(io.count, 1u);
  EXPECT_EQ(std::memcmp(io.data, "\x88\x77", 2), 0);
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rax, 0x1122334455667788u);
}

TEST_F(ExitCompletionTest, InSetsItsPartOfTheAccumulator) {
  const struct {
    std::uint8_t size;
    std::uint64_t after;
  } cases[] = {{1, 0x11223344556677f1},
               {2, 0x112233445566f2f1},
               {4, 0x00000000f4f3f2f1}};
  for (const auto& [size, after] : cases) {
    registers_.rax = 0x1122334455667788;
    const IoExit io = completion_->BeginIo(
        {.size = size, .instruction_length = 1}, registers_);
    std::memcpy(io.data, "\xf1\xf2\xf3\xf4", size);
    EXPECT_EQ(Finish().advance, 1);
    EXPECT_EQ(registers_.rax, after);
  }
}

TEST_F(ExitCompletionTest, OutsTakesElementsUpToTheEndOfThePage) {
  Fill(0x0ffc, "abcdefgh");
  registers_.rsi = 0x0ffc;
  registers_.rcx = 4;
  const PortAccess access = {.port = 0x80,
                             .size = 2,
                             .is_write = true,
                             .is_string = true,
                             .repeats = true,
                             .instruction_length = 2};
  IoExit io;
  ASSERT_TRUE(completion_->BeginStringIo(access, View(), registers_, &io));
  EXPECT_EQ(io.count, 2u);
  EXPECT_EQ(Data(io), "abcd");
  // Not done: it exits again, in the same place.
  EXPECT_EQ(Finish().advance, 0);
  EXPECT_EQ(registers_.rsi, 0x1000u);
  EXPECT_EQ(registers_.rcx, 2u);
  ASSERT_TRUE(completion_->BeginStringIo(access, View(), registers_, &io));
  EXPECT_EQ(Data(io), "efgh");
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rcx, 0u);
}

TEST_F(ExitCompletionTest, AnElementAcrossPagesIsOneExit) {
  Fill(0x0ffe, "abcd");
  registers_.rsi = 0x0ffe;
  registers_.rcx = 2;
  IoExit io;
  ASSERT_TRUE(completion_->BeginStringIo({.size = 4,
                                          .is_write = true,
                                          .is_string = true,
                                          .repeats = true,
                                          .instruction_length = 2},
                                         View(), registers_, &io));
  EXPECT_EQ(io.count, 1u);
  EXPECT_EQ(Data(io), "abcd");
  EXPECT_EQ(Finish().advance, 0);
  EXPECT_EQ(registers_.rsi, 0x1002u);
}

TEST_F(ExitCompletionTest, InsWritesWhenItIsFinished) {
  Fill(0x2000, "........");
  registers_.rdi = 0x2000;
  IoExit io;
  ASSERT_TRUE(completion_->BeginStringIo(
      {.size = 4, .is_string = true, .instruction_length = 1}, View(),
      registers_, &io));
  EXPECT_EQ(io.count, 1u);
  EXPECT_FALSE(io.is_write);
  std::memcpy(io.data, "wxyz", 4);
  EXPECT_EQ(Text(0x2000, 8), "........");
  EXPECT_EQ(Finish().advance, 1);
  EXPECT_EQ(Text(0x2000, 8), "wxyz....");
  EXPECT_EQ(registers_.rdi, 0x2004u);
  EXPECT_EQ(registers_.rcx, 0u);
}

TEST_F(ExitCompletionTest, DownwardsIsOneElementAnExit) {
  Fill(0x3000, "abcd");
  registers_.rsi = 0x3002;
  registers_.rcx = 2;
  registers_.rflags = kDirection;
  const PortAccess access = {.size = 2,
                             .is_write = true,
                             .is_string = true,
                             .repeats = true,
                             .instruction_length = 2};
  IoExit io;
  ASSERT_TRUE(completion_->BeginStringIo(access, View(), registers_, &io));
  EXPECT_EQ(Data(io), "cd");
  EXPECT_EQ(Finish().advance, 0);
  EXPECT_EQ(registers_.rsi, 0x3000u);
  ASSERT_TRUE(completion_->BeginStringIo(access, View(), registers_, &io));
  EXPECT_EQ(Data(io), "ab");
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rsi, 0x2ffeu);
}

TEST_F(ExitCompletionTest, NarrowPointersAndSegmentBases) {
  Fill(0x5010, "ab");
  registers_.rsi = 0xffff'ffff'ffff'0010;
  registers_.rcx = 0xffff'ffff'0000'0001;
  IoExit io;
  ASSERT_TRUE(completion_->BeginStringIo({.size = 2,
                                          .is_write = true,
                                          .is_string = true,
                                          .repeats = true,
                                          .instruction_length = 3,
                                          .segment_base = 0x5000,
                                          .address_bytes = 2},
                                         View(), registers_, &io));
  EXPECT_EQ(io.count, 1u);
  EXPECT_EQ(Data(io), "ab");
  EXPECT_EQ(Finish().advance, 3);
  EXPECT_EQ(registers_.rsi, 0xffff'ffff'ffff'0012u);
  EXPECT_EQ(registers_.rcx, 0xffff'ffff'0000'0000u);
}

TEST_F(ExitCompletionTest, AStringOutsideMemoryBeginsNothing) {
  registers_.rsi = registers_.rdi = kMemory;
  for (const bool is_write : {true, false}) {
    IoExit io;
    EXPECT_FALSE(completion_->BeginStringIo({.size = 4,
                                             .is_write = is_write,
                                             .is_string = true,
                                             .instruction_length = 1},
                                            View(), registers_, &io));
    EXPECT_FALSE(completion_->pending());
  }
}

TEST_F(ExitCompletionTest, MmioStore) {
  registers_.rcx = 0x1122334455667788;
  const MmioExit mmio =
      completion_->BeginMmio(Decode({0x89, 0x0f}), 0xd0000, registers_);
  EXPECT_EQ(mmio.gpa, 0xd0000u);
  EXPECT_EQ(mmio.length, 4u);
  EXPECT_TRUE(mmio.is_write);
  EXPECT_EQ(std::memcmp(mmio.data, "\x88\x77\x66\x55", 4), 0);
  EXPECT_FALSE(completion_->mid_instruction());
  EXPECT_EQ(Finish().advance, 2);
}

TEST_F(ExitCompletionTest, MmioLoad) {
  registers_.rcx = 0x1122334455667788;
  const MmioExit mmio =
      completion_->BeginMmio(Decode({0x8a, 0x2f}), 0xd0000, registers_);  // CH
  EXPECT_EQ(mmio.length, 1u);
  EXPECT_FALSE(mmio.is_write);
  *static_cast<std::uint8_t*>(mmio.data) = 0xaa;
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rcx, 0x112233445566aa88u);
}

TEST_F(ExitCompletionTest, ReadModifyWriteIsTwoExits) {
  registers_.rflags = 0x202;
  // ADDL $0x10, (RDI)
  MmioExit mmio =
      completion_->BeginMmio(Decode({0x83, 0x07, 0x10}), 0xd0008, registers_);
  EXPECT_FALSE(mmio.is_write);
  EXPECT_TRUE(completion_->mid_instruction());
  const std::uint32_t read = 0xfffffff5;
  std::memcpy(mmio.data, &read, sizeof(read));
  MmioExit second;
  ASSERT_TRUE(completion_->NextAccess(registers_, &second));
  EXPECT_FALSE(completion_->mid_instruction());
  EXPECT_TRUE(second.is_write);
  EXPECT_EQ(second.gpa, 0xd0008u);
  EXPECT_EQ(second.length, 4u);
  std::uint32_t written = 0;
  std::memcpy(&written, second.data, sizeof(written));
  EXPECT_EQ(written, 5u);
  EXPECT_FALSE(completion_->NextAccess(registers_, &second));
  EXPECT_EQ(Finish().advance, 3);
  EXPECT_EQ(registers_.rflags, 0x207u);  // CF and PF
}

TEST_F(ExitCompletionTest, ExchangeGivesTheRegisterWhatWasRead) {
  registers_.rdx = 0x1122334455667788;
  // XCHG DX, (RDI)
  const MmioExit mmio =
      completion_->BeginMmio(Decode({0x66, 0x87, 0x17}), 0xd0000, registers_);
  std::memcpy(mmio.data, "\xaa\xbb", 2);
  MmioExit second;
  ASSERT_TRUE(completion_->NextAccess(registers_, &second));
  EXPECT_EQ(std::memcmp(second.data, "\x88\x77", 2), 0);
  EXPECT_EQ(Finish().advance, 3);
  EXPECT_EQ(registers_.rdx, 0x112233445566bbaau);
}

TEST_F(ExitCompletionTest, ComparesReadAndDoNotWrite) {
  registers_.rdx = 7;
  // CMP EDX, (RDI)
  const MmioExit mmio =
      completion_->BeginMmio(Decode({0x39, 0x17}), 0xd0000, registers_);
  EXPECT_FALSE(mmio.is_write);
  EXPECT_FALSE(completion_->mid_instruction());
  const std::uint32_t read = 7;
  std::memcpy(mmio.data, &read, sizeof(read));
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rflags & (1 << 6), 1u << 6);  // ZF
}

TEST_F(ExitCompletionTest, RepeatedStoresExitOnceAnElement) {
  registers_.rdi = 0xd0000;
  registers_.rcx = 2;
  registers_.rax = 0xab;
  const MemoryInstruction stosb = Decode({0xf3, 0xaa});
  MmioExit mmio = completion_->BeginMmio(stosb, 0xd0000, registers_);
  EXPECT_EQ(*static_cast<std::uint8_t*>(mmio.data), 0xab);
  EXPECT_EQ(Finish().advance, 0);
  EXPECT_EQ(registers_.rdi, 0xd0001u);
  mmio = completion_->BeginMmio(stosb, 0xd0001, registers_);
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rcx, 0u);
}

TEST_F(ExitCompletionTest, RdmsrFillsBothHalves) {
  registers_.rax = registers_.rdx = ~std::uint64_t{0};
  registers_.rcx = 0xffff'ffff'c000'0080;
  const MsrExit msr = completion_->BeginMsr(false, 2, registers_);
  EXPECT_EQ(msr.index, 0xc000'0080u);
  EXPECT_EQ(msr.engine_reason, 0u);
  EXPECT_EQ(*msr.data, 0u);
  *msr.data = 0x0123456789abcdef;
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rax, 0x89abcdefu);
  EXPECT_EQ(registers_.rdx, 0x01234567u);
}

TEST_F(ExitCompletionTest, WrmsrShowsBothHalves) {
  registers_.rax = 0xffff'ffff'89ab'cdef;
  registers_.rdx = 0xffff'ffff'0123'4567;
  const MsrExit msr = completion_->BeginMsr(true, 2, registers_);
  EXPECT_EQ(*msr.data, 0x0123456789abcdefu);
  EXPECT_EQ(Finish().advance, 2);
  EXPECT_EQ(registers_.rax, 0xffff'ffff'89ab'cdefu);
}

TEST_F(ExitCompletionTest, AnMsrMayEndInGeneralProtection) {
  for (const bool is_write : {true, false}) {
    registers_.rax = 1;
    const MsrExit msr = completion_->BeginMsr(is_write, 2, registers_);
    *msr.data = 5;
    *msr.inject_gp = 1;
    const ExitCompletion::Effect effect = Finish();
    EXPECT_TRUE(effect.general_protection);
    EXPECT_EQ(effect.advance, 0);
    EXPECT_EQ(registers_.rax, 1u);
  }
}

TEST_F(ExitCompletionTest, DroppingForgets) {
  completion_->BeginSkip(2);
  completion_->Drop();
  EXPECT_FALSE(completion_->pending());
  EXPECT_EQ(completion_->Finish(registers_).advance, 0);
}

}  // namespace
}  // namespace worldswitch
