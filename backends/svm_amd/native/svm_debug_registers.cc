#include "backends/svm_amd/native/svm_debug_registers.h"

#include "backends/native/processor.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kEnables = 0xFF;
constexpr std::uint64_t kReservedZero = 0xDC00;  // bits 15:14, 12, 11
constexpr std::uint64_t kDr6Bits = 0xE00F;       // BT, BS, BD, B3 to B0

// DR7 without its breakpoints on data or I/O.
std::uint64_t OnCodeOnly(std::uint64_t dr7) {
  for (unsigned i = 0; i < 4; ++i) {
    if ((dr7 >> (16 + 4 * i) & 3) != 0) dr7 &= ~(std::uint64_t{3} << (2 * i));
  }
  return dr7;
}

}  // namespace

bool SvmDebugRegisters::Write(VmcbSave& save, unsigned number,
                              std::uint64_t value) {
  if (number < 4) {
    address_[number] = value;
    return true;
  }
  if (value >> 32 != 0) return false;
  if (number == 6) {
    save.dr6 = (value & kDr6Bits) | kDr6Reset;
    return true;
  }
  dr7_ = (value | kDr7Reset) & ~kReservedZero;
  save.dr7 = spares_data_ ? OnCodeOnly(dr7_) : dr7_;
  armed_ = (save.dr7 & kEnables) != 0;
  return true;
}

std::uint64_t SvmDebugRegisters::Read(const VmcbSave& save,
                                      unsigned number) const {
  if (number < 4) return address_[number];
  return number == 6 ? save.dr6 : dr7_;
}

void SvmDebugRegisters::Exchange() { ring0::ExchangeBreakpoints(address_); }

}  // namespace worldswitch::svm
