// The guests: which payloads there are, and how one is put into a VM so that
// its vCPU is ready to run it. The same bytes on every backend.
//
// Freestanding: native images link it too.

#ifndef WORLDSWITCH_GUESTS_GUESTS_H_
#define WORLDSWITCH_GUESTS_GUESTS_H_

#include <cstdint>

#include "core/vm_ops.h"
#include "guests/layout.h"
#include "guests/payload_list.h"

namespace worldswitch {

enum class GuestMode : std::uint8_t {
  kReal,   // real mode, CS base 0
  kRing0,  // 64-bit mode, CPL 0, identity-mapped
  kRing3,  // the same at CPL 3; every port allowed by the TSS's I/O bitmap
};
inline constexpr int kGuestModeCount = 3;
const char* GuestModeName(GuestMode mode);  // "real", "ring0", "ring3"

// A set of modes; combine with |.
using GuestModeSet = std::uint8_t;
constexpr GuestModeSet ModeBit(GuestMode mode) {
  return static_cast<GuestModeSet>(1u << static_cast<unsigned>(mode));
}

enum class Payload : std::uint8_t {
#define WS_PAYLOAD_ENUM(name) k_##name,
  WS_PAYLOADS(WS_PAYLOAD_ENUM)
#undef WS_PAYLOAD_ENUM
      kCount
};
const char* PayloadName(Payload payload);

struct GuestSetup {
  Payload payload = Payload::k_empty;
  GuestMode mode = GuestMode::kReal;
  bool interrupts_on = false;  // RFLAGS.IF at the start
  std::uint64_t arguments[2] = {0, 0};
};

// Writes code, descriptor and page tables into the VM's memory, which must hold
// WS_MEMORY_BYTES, and sets the vCPU's registers to the payload's first
// instruction. Any result but kOk is that of the register op that failed;
// kUnsupported also where the memory is too small.
Result LoadGuest(VmOps& vm, std::uint32_t vcpu_index, const GuestSetup& setup);

// Code of the caller's own (a conformance clause, an embedder's test) instead
// of a payload: copied behind the payloads and entered at its first byte, with
// the same tables and handlers around it. size: at most kMaxOwnCode bytes.
inline constexpr std::uint32_t kMaxOwnCode = 0x1000;
Result LoadCode(VmOps& vm, std::uint32_t vcpu_index, GuestMode mode,
                const void* code, std::uint32_t size,
                bool interrupts_on = false);

// What the guest reported when it took an exception it did not expect (an OUT
// to WS_PORT_FAULT).
struct GuestFault {
  std::uint32_t vector;
  std::uint32_t error_code;  // 0 where the vector pushes none, or real mode
  std::uint64_t rip;
};
GuestFault ReadGuestFault(VmOps& vm, GuestMode mode);
// "#UD"; "(15)" for vectors without a name. vector: 0 to 31.
const char* ExceptionName(std::uint32_t vector);

}  // namespace worldswitch

#endif  // WORLDSWITCH_GUESTS_GUESTS_H_
