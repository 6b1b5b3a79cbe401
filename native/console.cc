#include "native/console.h"

#include "native/cpu.h"

namespace worldswitch::native {
namespace {

constexpr std::uint16_t kUart = 0x3f8;
constexpr std::uint16_t kInterruptEnable = kUart + 1;
constexpr std::uint16_t kFifoControl = kUart + 2;
constexpr std::uint16_t kLineControl = kUart + 3;
constexpr std::uint16_t kModemControl = kUart + 4;
constexpr std::uint16_t kLineStatus = kUart + 5;
constexpr std::uint8_t kDivisorLatch = 0x80;
constexpr std::uint8_t kEightBits = 0x03;
constexpr std::uint8_t kFifoOnAndCleared = 0x07;
constexpr std::uint8_t kReadyToSend = 0x03;  // DTR, RTS
constexpr std::uint8_t kHoldingEmpty = 0x20;
constexpr std::uint8_t kAllSent = 0x40;
constexpr std::uint8_t kDivisor = 1;  // 115200 baud
// A character takes 87 us, a port access about 1 us: far beyond any character,
// and no image hangs for a UART that does not answer.
constexpr int kMostPolls = 100'000;

void WaitFor(std::uint8_t status) {
  for (int i = 0; i < kMostPolls && (In8(kLineStatus) & status) == 0; ++i) {
  }
}

// The digits of value, most significant first, at the end of buffer.
struct Digits {
  char buffer[20];
  std::size_t size = 0;

  Digits(std::uint64_t value, std::uint64_t base) {
    do {
      buffer[sizeof(buffer) - ++size] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
  }
  const char* first() const { return buffer + sizeof(buffer) - size; }
};

}  // namespace

constinit Console console;

void Console::Open() {
  Out8(kInterruptEnable, 0);
  Out8(kLineControl, kDivisorLatch);
  Out8(kUart, kDivisor);
  Out8(kInterruptEnable, 0);
  Out8(kLineControl, kEightBits);
  Out8(kFifoControl, kFifoOnAndCleared);
  Out8(kModemControl, kReadyToSend);
}

void Console::Send(char character) {
  WaitFor(kHoldingEmpty);
  Out8(kUart, static_cast<std::uint8_t>(character));
}

Console& Console::Put(char character) {
  if (character == '\n') Send('\r');
  Send(character);
  return *this;
}

Console& Console::Text(const char* text) {
  for (; *text != 0; ++text) Put(*text);
  return *this;
}

Console& Console::Text(const char* text, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) Put(text[i]);
  return *this;
}

Console& Console::Left(const char* text, std::size_t width) {
  std::size_t size = 0;
  for (; text[size] != 0; ++size) Put(text[size]);
  for (; size < width; ++size) Put(' ');
  return *this;
}

Console& Console::Decimal(std::uint64_t value) {
  const Digits digits(value, 10);
  return Text(digits.first(), digits.size);
}

Console& Console::DecimalRight(std::uint64_t value, std::size_t width) {
  const Digits digits(value, 10);
  for (std::size_t i = digits.size; i < width; ++i) Put(' ');
  return Text(digits.first(), digits.size);
}

Console& Console::Signed(std::int64_t value) {
  if (value >= 0) return Decimal(static_cast<std::uint64_t>(value));
  return Put('-').Decimal(-static_cast<std::uint64_t>(value));
}

Console& Console::SignedRight(std::int64_t value, std::size_t width) {
  if (value >= 0) {
    return DecimalRight(static_cast<std::uint64_t>(value), width);
  }
  const Digits digits(-static_cast<std::uint64_t>(value), 10);
  for (std::size_t i = digits.size + 1; i < width; ++i) Put(' ');
  return Put('-').Text(digits.first(), digits.size);
}

Console& Console::Hex(std::uint64_t value) {
  const Digits digits(value, 16);
  return Text("0x").Text(digits.first(), digits.size);
}

void Console::Drain() { WaitFor(kAllSent); }

}  // namespace worldswitch::native
