#include "backends/vmx_intel/native/vmx_debug_registers.h"

namespace worldswitch {
namespace {

constexpr unsigned kDr6 = 6;
constexpr std::uint64_t kDr7Fixed = 1u << 10;
constexpr std::uint64_t kDr7Zero = 0xdc00;  // bits 15:14, 12, 11
constexpr std::uint64_t kDr7Enables = 0xff;

#define WS_DEBUG_REGISTER(number)                                   \
  std::uint64_t ReadDr##number() {                                  \
    std::uint64_t value = 0;                                        \
    asm volatile("mov %%dr" #number ", %0" : "=r"(value));          \
    return value;                                                   \
  }                                                                 \
  void WriteDr##number(std::uint64_t value) {                       \
    asm volatile("mov %0, %%dr" #number : : "r"(value) : "memory"); \
  }
WS_DEBUG_REGISTER(0)
WS_DEBUG_REGISTER(1)
WS_DEBUG_REGISTER(2)
WS_DEBUG_REGISTER(3)
WS_DEBUG_REGISTER(6)
#undef WS_DEBUG_REGISTER

}  // namespace

bool VmxDebugRegisters::Write(Vmcs& vmcs, unsigned number,
                              std::uint64_t value) {
  if (number < 4) {
    address_[number] = value;
    return true;
  }
  if ((value >> 32) != 0) return false;
  if (number == kDr6) {
    WriteDr6(value);
  } else {
    vmcs.Write(VmcsField::kGuestDr7, (value | kDr7Fixed) & ~kDr7Zero);
    armed_ = (value & kDr7Enables) != 0;
  }
  return true;
}

std::uint64_t VmxDebugRegisters::Read(Vmcs& vmcs, unsigned number) const {
  if (number < 4) return address_[number];
  return number == kDr6 ? ReadDr6() : vmcs.Read(VmcsField::kGuestDr7);
}

void VmxDebugRegisters::Exchange() {
  const std::uint64_t host[4] = {ReadDr0(), ReadDr1(), ReadDr2(), ReadDr3()};
  WriteDr0(address_[0]);
  WriteDr1(address_[1]);
  WriteDr2(address_[2]);
  WriteDr3(address_[3]);
  for (unsigned i = 0; i < 4; ++i) address_[i] = host[i];
}

}  // namespace worldswitch
