#include "backends/vmx_intel/native/vmx_enable.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kCpuidVmx = 1u << 5;  // leaf 1, ECX
constexpr std::uint64_t kCr4Vmxe = 1u << 13;
constexpr std::uint64_t kRevisionMask = 0x7fff'ffff;

bool IsIntel() {
  const ring0::CpuidLeaf vendor = ring0::Cpuid(0);
  // "GenuineIntel".
  return vendor.ebx == 0x756e6547 && vendor.edx == 0x49656e69 &&
         vendor.ecx == 0x6c65746e;
}

std::uint64_t Fixed(std::uint64_t value, const VmxCapabilities& capabilities,
                    VmxMsr fixed0, VmxMsr fixed1) {
  return (value | capabilities.Value(fixed0)) & capabilities.Value(fixed1);
}

}  // namespace

bool VmxUsable(const char** why) {
  if (!IsIntel()) {
    *why = "this is not an Intel CPU";
    return false;
  }
  if ((ring0::Cpuid(1).ecx & kCpuidVmx) == 0) {
    *why = "the CPU has no VMX (CPUID.1:ECX bit 5), or firmware has it off";
    return false;
  }
  const std::uint64_t control = ring0::ReadMsr(VmxFeatureControl::kMsr);
  if (VmxFeatureControl::kLock.IsSet(control) &&
      !VmxFeatureControl::kOutsideSmx.IsSet(control)) {
    *why =
        "firmware has locked VMX off (IA32_FEATURE_CONTROL); turn it on in the "
        "firmware's settings";
    return false;
  }
  return true;
}

VmxCapabilities ReadVmxCapabilities() {
  VmxCapabilities capabilities;
  for (std::uint32_t i = 0; i < kVmxMsrCount; ++i) {
    const auto msr = static_cast<VmxMsr>(kFirstVmxMsr + i);
    if (capabilities.Exists(msr)) {
      capabilities.Set(msr, ring0::ReadMsr(kFirstVmxMsr + i));
    }
  }
  return capabilities;
}

bool VmxOperation::Start(const HostServices& host,
                         const VmxCapabilities& capabilities,
                         const char** why) {
  cr4_ = ring0::ReadCr4();
  if ((cr4_ & kCr4Vmxe) != 0) {
    *why = "VMX is in use already (CR4.VMXE is set)";
    return false;
  }
  cr0_ = ring0::ReadCr0();
  gdtr_ = ring0::ReadGdtr();
  idtr_ = ring0::ReadIdtr();
  ldtr_ = ring0::ReadLdtr();
  region_ = host.allocate_pages(host.context, 1, kPageBytes);
  if (region_ == nullptr) {
    *why = "no page left for the VMXON region";
    return false;
  }
  *static_cast<std::uint32_t*>(region_) = static_cast<std::uint32_t>(
      capabilities.Value(VmxMsr::kBasic) & kRevisionMask);
  const std::uint64_t control = ring0::ReadMsr(VmxFeatureControl::kMsr);
  if (!VmxFeatureControl::kLock.IsSet(control)) {
    ring0::WriteMsr(VmxFeatureControl::kMsr,
                    control | VmxFeatureControl::kLock.Mask() |
                        VmxFeatureControl::kOutsideSmx.Mask());
  }
  ring0::WriteCr0(
      Fixed(cr0_, capabilities, VmxMsr::kCr0Fixed0, VmxMsr::kCr0Fixed1));
  ring0::WriteCr4(Fixed(cr4_ | kCr4Vmxe, capabilities, VmxMsr::kCr4Fixed0,
                        VmxMsr::kCr4Fixed1));
  const std::uint64_t physical = host.physical_address(host.context, region_);
  if (vmx::Vmxon(physical) != VmxStatus::kSucceeded) {
    ring0::WriteCr4(cr4_);
    ring0::WriteCr0(cr0_);
    host.free_pages(host.context, region_, 1);
    region_ = nullptr;
    *why = "VMXON failed: VMfailInvalid";
    return false;
  }
  host_ = &host;
  active_ = true;
  return true;
}

void VmxOperation::Stop() {
  if (!active_) return;
  vmx::Vmxoff();
  ring0::WriteCr4(cr4_);
  ring0::WriteCr0(cr0_);
  ring0::LoadGdtr(gdtr_);
  ring0::LoadIdtr(idtr_);
  ring0::LoadLdtr(ldtr_);
  host_->free_pages(host_->context, region_, 1);
  region_ = nullptr;
  active_ = false;
}

}  // namespace worldswitch
