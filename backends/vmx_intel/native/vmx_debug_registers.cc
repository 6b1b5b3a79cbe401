#include "backends/vmx_intel/native/vmx_debug_registers.h"

#include "backends/native/processor.h"

namespace worldswitch {
namespace {

constexpr unsigned kDr6 = 6;
constexpr std::uint64_t kDr7Fixed = 1u << 10;
constexpr std::uint64_t kDr7Zero = 0xdc00;  // bits 15:14, 12, 11
constexpr std::uint64_t kDr7Enables = 0xff;

}  // namespace

bool VmxDebugRegisters::Write(Vmcs& vmcs, unsigned number,
                              std::uint64_t value) {
  if (number < 4) {
    address_[number] = value;
    return true;
  }
  if ((value >> 32) != 0) return false;
  if (number == kDr6) {
    ring0::WriteDr6(value);
  } else {
    vmcs.Write(VmcsField::kGuestDr7, (value | kDr7Fixed) & ~kDr7Zero);
    armed_ = (value & kDr7Enables) != 0;
  }
  return true;
}

std::uint64_t VmxDebugRegisters::Read(Vmcs& vmcs, unsigned number) const {
  if (number < 4) return address_[number];
  return number == kDr6 ? ring0::ReadDr6() : vmcs.Read(VmcsField::kGuestDr7);
}

void VmxDebugRegisters::Exchange() { ring0::ExchangeBreakpoints(address_); }

}  // namespace worldswitch
