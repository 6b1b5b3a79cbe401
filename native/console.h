// The serial console: a 16550 at 0x3f8, 115200 baud, 8N1, polled.
// One CPU; freestanding.

#ifndef WORLDSWITCH_NATIVE_CONSOLE_H_
#define WORLDSWITCH_NATIVE_CONSOLE_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::native {

class Console {
 public:
  // Sets the UART up. Nothing is printed before.
  void Open();
  // A line feed goes out as CR LF.
  Console& Put(char character);
  Console& Text(const char* text);
  Console& Text(const char* text, std::size_t length);
  // Filled up with blanks to `width`.
  Console& Left(const char* text, std::size_t width);
  Console& Decimal(std::uint64_t value);
  Console& DecimalRight(std::uint64_t value, std::size_t width);
  Console& Signed(std::int64_t value);
  Console& SignedRight(std::int64_t value, std::size_t width);
  Console& Hex(std::uint64_t value);  // with 0x
  Console& End() { return Put('\n'); }
  // Waits until the last character is on the line.
  void Drain();

 private:
  void Send(char character);
};

// The only one.
extern Console console;

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CONSOLE_H_
