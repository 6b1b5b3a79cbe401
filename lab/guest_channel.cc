#include "lab/guest_channel.h"

#include <cstring>

namespace worldswitch {
namespace {

constexpr std::size_t kHeaderSize = 8;
constexpr char kTypes[] = "HROEFDCXS";

}  // namespace

std::string GuestFrameHeader(GuestFrameType type, std::size_t length) {
  std::string header = {'W', 'S', static_cast<char>(type), '\0'};
  for (unsigned shift = 0; shift < 32; shift += 8) {
    header.push_back(static_cast<char>((length >> shift) & 0xff));
  }
  return header;
}

void GuestFrameReader::Append(const char* bytes, std::size_t count) {
  bytes_.erase(0, start_);
  start_ = 0;
  bytes_.append(bytes, count);
}

bool GuestFrameReader::Next(GuestFrame* frame) {
  if (broken_ || pending() < kHeaderSize) return false;
  const char* header = &bytes_[start_];
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    length |= std::size_t{static_cast<unsigned char>(header[4 + i])} << 8 * i;
  }
  if (header[0] != 'W' || header[1] != 'S' || header[2] == '\0' ||
      std::strchr(kTypes, header[2]) == nullptr || header[3] != '\0' ||
      length > kMaxFramePayload) {
    broken_ = true;
    return false;
  }
  if (pending() < kHeaderSize + length) return false;
  frame->type = static_cast<GuestFrameType>(header[2]);
  frame->payload = bytes_.substr(start_ + kHeaderSize, length);
  start_ += kHeaderSize + length;
  return true;
}

}  // namespace worldswitch
