// The way out of a lab: frames that /init writes to the emulated parallel port,
// whose emulator appends each byte to a file. The console stays the kernel's
// own, so neither can garble the other.
//
// Why a parallel port: QEMU and Bochs both have one, a byte costs three OUTs,
// and none of them waits for a made-up baud rate as a serial port does.
//
// Standard C++ only: /init is linked statically from these sources.

#ifndef WORLDSWITCH_LAB_GUEST_CHANNEL_H_
#define WORLDSWITCH_LAB_GUEST_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace worldswitch {

// The parallel port's registers (IEEE 1284, "SPP"): a byte is taken when
// strobe goes from 0 to 1 while the printer is selected and not being reset.
inline constexpr std::uint16_t kParallelData = 0x378;
inline constexpr std::uint16_t kParallelControl = 0x37a;
inline constexpr std::uint8_t kParallelSelected = 0x0c;
inline constexpr std::uint8_t kParallelStrobe = 0x0d;

enum class GuestFrameType : char {
  kHello = 'H',     // the kernel is up: /proc/version and /proc/cpuinfo
  kRefused = 'R',   // /init cannot do what the plan says: why
  kOutput = 'O',    // bytes of the command's standard output
  kError = 'E',     // bytes of its standard error
  kFile = 'F',      // a file comes: its path
  kFileData = 'D',  // bytes of it
  kFileEnd = 'C',   // it is whole
  kExited = 'X',    // the command's exit code, in decimal
  kSignalled = 'S'  // the signal that ended it, in decimal
};

struct GuestFrame {
  GuestFrameType type = GuestFrameType::kHello;
  std::string payload;
};

// No frame is longer; larger things come in several.
inline constexpr std::size_t kMaxFramePayload = std::size_t{64} * 1024;

// "WS", the type, a zero, the payload's length in 4 bytes (little-endian).
std::string GuestFrameHeader(GuestFrameType type, std::size_t length);

// Takes a stream of frames apart, in pieces of any size.
class GuestFrameReader {
 public:
  void Append(const char* bytes, std::size_t count);
  // True: *frame is the next one. False: none is whole, or broken().
  bool Next(GuestFrame* frame);
  // What came is not a frame; nothing that follows can be understood.
  bool broken() const { return broken_; }
  // Bytes of a frame that is not whole yet.
  std::size_t pending() const { return bytes_.size() - start_; }

 private:
  std::string bytes_;
  std::size_t start_ = 0;
  bool broken_ = false;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_GUEST_CHANNEL_H_
