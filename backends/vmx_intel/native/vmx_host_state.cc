#include "backends/vmx_intel/native/vmx_host_state.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kMsrFsBase = 0xc0000100;
constexpr std::uint32_t kMsrGsBase = 0xc0000101;
constexpr std::uint32_t kMsrPat = 0x277;
constexpr std::uint32_t kMsrSysenterCs = 0x174;
constexpr std::uint32_t kMsrSysenterEsp = 0x175;
constexpr std::uint32_t kMsrSysenterEip = 0x176;

// TI and RPL, which the host-state area does not take.
constexpr std::uint16_t kSelectorLow = 7;

std::uint16_t Loadable(std::uint16_t selector) {
  return (selector & kSelectorLow) != 0 ? 0 : selector;
}

// The base in the 16-byte TSS descriptor (SDM 3A, "TSS Descriptor in 64-bit
// mode") of a GDT at `gdt`.
std::uint64_t TaskStateBase(std::uint64_t gdt, std::uint16_t selector) {
  const auto* at =
      reinterpret_cast<const std::byte*>(gdt + (selector & ~kSelectorLow));
  std::uint64_t low = 0;
  std::uint32_t high = 0;
  __builtin_memcpy(&low, at, sizeof(low));
  __builtin_memcpy(&high, at + 8, sizeof(high));
  return (low >> 16 & 0xff'ffff) | (low >> 56 & 0xff) << 24 |
         std::uint64_t{high} << 32;
}

}  // namespace

void WriteHostState(Vmcs& vmcs, const VmxControlWords& controls) {
  vmcs.Write(VmcsField::kHostCr0, ring0::ReadCr0());
  vmcs.Write(VmcsField::kHostCr3, ring0::ReadCr3());
  vmcs.Write(VmcsField::kHostCr4, ring0::ReadCr4());

  vmcs.Write(VmcsField::kHostEsSelector, Loadable(ring0::ReadEs()));
  vmcs.Write(VmcsField::kHostCsSelector, ring0::ReadCs());
  vmcs.Write(VmcsField::kHostSsSelector, Loadable(ring0::ReadSs()));
  vmcs.Write(VmcsField::kHostDsSelector, Loadable(ring0::ReadDs()));
  vmcs.Write(VmcsField::kHostFsSelector, Loadable(ring0::ReadFs()));
  vmcs.Write(VmcsField::kHostGsSelector, Loadable(ring0::ReadGs()));
  const std::uint16_t task = ring0::ReadTaskRegister();
  vmcs.Write(VmcsField::kHostTrSelector, task);

  const ring0::TablePointer gdtr = ring0::ReadGdtr();
  const ring0::TablePointer idtr = ring0::ReadIdtr();
  vmcs.Write(VmcsField::kHostFsBase, ring0::ReadMsr(kMsrFsBase));
  vmcs.Write(VmcsField::kHostGsBase, ring0::ReadMsr(kMsrGsBase));
  vmcs.Write(VmcsField::kHostTrBase, TaskStateBase(gdtr.base, task));
  vmcs.Write(VmcsField::kHostGdtrBase, gdtr.base);
  vmcs.Write(VmcsField::kHostIdtrBase, idtr.base);

  vmcs.Write(VmcsField::kHostSysenterCs, ring0::ReadMsr(kMsrSysenterCs));
  vmcs.Write(VmcsField::kHostSysenterEsp, ring0::ReadMsr(kMsrSysenterEsp));
  vmcs.Write(VmcsField::kHostSysenterEip, ring0::ReadMsr(kMsrSysenterEip));
  if (controls.IsSet(VmxControlWord::kExit, vmx::kExitLoadPat)) {
    vmcs.Write(VmcsField::kHostPat, ring0::ReadMsr(kMsrPat));
  }
  if (controls.IsSet(VmxControlWord::kExit, vmx::kExitLoadEfer)) {
    vmcs.Write(VmcsField::kHostEfer, ring0::ReadMsr(ring0::kMsrEfer));
  }
}

void WriteHostEntry(Vmcs& vmcs, std::uint64_t rip, std::uint64_t rsp) {
  vmcs.Write(VmcsField::kHostRip, rip);
  vmcs.Write(VmcsField::kHostRsp, rsp);
}

}  // namespace worldswitch
