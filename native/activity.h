// What the image is doing, for the report of an exception. Freestanding.

#ifndef WORLDSWITCH_NATIVE_ACTIVITY_H_
#define WORLDSWITCH_NATIVE_ACTIVITY_H_

#include <cstdint>

namespace worldswitch::native {

struct Activity {
  const char* what = "starting";
  std::uint64_t number = 0;
};

inline constinit Activity activity;

// what: stays where it is.
inline void SetActivity(const char* what, std::uint64_t number) {
  activity = {.what = what, .number = number};
}

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_ACTIVITY_H_
