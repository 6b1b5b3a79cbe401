#include "backends/vmx_intel/native/vmx_memory.h"

#include "backends/vmx_intel/native/vmx_instruction.h"

namespace worldswitch {
namespace {

// IA32_VMX_EPT_VPID_CAP.
constexpr unsigned kCap2M = 16;
constexpr unsigned kCap1G = 17;
constexpr unsigned kCapAccessedDirty = 21;
constexpr unsigned kCapSingleContext = 25;

// EPT pointer ("Extended-Page-Table Pointer (EPTP)").
constexpr std::uint64_t kWriteBack = 6;
constexpr std::uint64_t kFourLevels = 3 << 3;
constexpr std::uint64_t kAccessedDirty = 1 << 6;

bool Has(const VmxCapabilities& capabilities, unsigned bit) {
  return ((capabilities.Value(VmxMsr::kEptVpidCap) >> bit) & 1) != 0;
}

NestedPageSize LargestPage(const VmxCapabilities& capabilities) {
  if (!Has(capabilities, kCap2M)) return NestedPageSize::k4KiB;
  return Has(capabilities, kCap1G) ? NestedPageSize::k1GiB
                                   : NestedPageSize::k2MiB;
}

}  // namespace

VmxMemory::VmxMemory(const HostServices& host,
                     const VmxCapabilities& capabilities,
                     NestedPageSize largest, bool accessed_dirty)
    : memory_(host, NestedFormat::kEpt, largest, LargestPage(capabilities)),
      eptp_bits_(kWriteBack | kFourLevels |
                 (accessed_dirty && Has(capabilities, kCapAccessedDirty)
                      ? kAccessedDirty
                      : 0)),
      invept_type_(Has(capabilities, kCapSingleContext) ? vmx::kSingleContext
                                                        : vmx::kAllContexts) {}

// The next VM's tables may lie where these did.
VmxMemory::~VmxMemory() {
  if (eptp_ != 0) Invalidate();
}

bool VmxMemory::Create(std::uint64_t bytes) {
  if (!memory_.Create(bytes)) return false;
  eptp_ = memory_.root() | eptp_bits_;
  Invalidate();
  return true;
}

Result VmxMemory::Discard(std::uint64_t gpa, std::uint64_t length) {
  if (!memory_.Discard(gpa, length)) return Result::kError;
  Invalidate();
  return Result::kOk;
}

Result VmxMemory::MapAlias(std::uint64_t gpa, NestedPageSize size,
                           std::uint64_t* alias) {
  const Result result = memory_.MapAlias(gpa, size, alias);
  Invalidate();
  return result;
}

Result VmxMemory::SetPage(std::uint64_t gpa, NestedPageState state) {
  const Result result = memory_.SetState(gpa, state);
  Invalidate();
  return result;
}

void VmxMemory::Invalidate() const {
  vmx::Invept(invept_type_, {.first = eptp_, .second = 0});
}

}  // namespace worldswitch
