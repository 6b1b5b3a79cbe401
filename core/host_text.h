// Text of a constant table that only a program of an operating system shows:
// what a scenario does, what a knob means. The boot image, whose size is
// limited, is compiled without it (WS_NATIVE_IMAGE).
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_HOST_TEXT_H_
#define WORLDSWITCH_CORE_HOST_TEXT_H_

namespace worldswitch {

class HostText {
 public:
  // NOLINTBEGIN(google-explicit-constructor): stands where a text stood
#ifdef WS_NATIVE_IMAGE
  constexpr HostText(const char* /*text*/) {}
#else
  // text: a literal, as the object only points there.
  constexpr HostText(const char* text) : text_(text) {}
#endif
  constexpr operator const char*() const { return text_; }
  // NOLINTEND(google-explicit-constructor)
  constexpr const char* c_str() const { return text_; }

 private:
  const char* text_ = "";
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_TEXT_H_
