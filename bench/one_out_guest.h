// The guest that does nothing but exit: OUT to WS_PORT_TEST, for ever. The same
// four bytes in every mode.

#ifndef WORLDSWITCH_BENCH_ONE_OUT_GUEST_H_
#define WORLDSWITCH_BENCH_ONE_OUT_GUEST_H_

#include <cstdint>

#include "guests/guests.h"

namespace worldswitch {

// As LoadCode has it; vCPUs of one VM may all have it side by side.
inline Result LoadOneOutGuest(VmOps& vm, std::uint32_t vcpu, GuestMode mode) {
  // next: out %al, $WS_PORT_TEST; jmp next
  static constexpr std::uint8_t kCode[] = {0xe6, WS_PORT_TEST, 0xeb, 0xfc};
  return LoadCode(vm, vcpu, mode, kCode, sizeof(kCode));
}

inline bool IsOneOut(const Exit& exit) {
  return exit.reason == ExitReason::kIo && exit.io.is_write &&
         exit.io.port == WS_PORT_TEST;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_ONE_OUT_GUEST_H_
