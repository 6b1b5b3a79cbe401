#include "backends/kvm/kvm_state.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

static_assert(sizeof(MsrValue) == sizeof(kvm_msr_entry));
static_assert(offsetof(MsrValue, value) == offsetof(kvm_msr_entry, data));

// Places in an XSAVE image (SDM 1, 10.5.1 and 13.4.2). XSTATE_BV tells which
// components it holds.
constexpr std::size_t kFxsaveFip = 8;
constexpr std::size_t kFxsaveSt0 = 32;
constexpr std::size_t kFxsaveXmm0 = 160;
constexpr std::size_t kXstateBv = 512;
constexpr std::byte kX87AndSse{3};

// A buffer that every part's structure may lie in.
class Aligned {
 public:
  explicit Aligned(std::size_t bytes) : words_((bytes + 7) / 8) {}
  void* data() { return words_.data(); }

 private:
  std::vector<std::uint64_t> words_;
};

kvm_msr_entry EntryOf(std::uint32_t index) {
  kvm_msr_entry entry = {};
  entry.index = index;
  return entry;
}

// The ioctls of a part that is one structure of KVM.
struct PartCalls {
  unsigned long get;
  unsigned long set;
  std::size_t bytes;
};

PartCalls CallsOf(const KvmVm& vm, StatePart part) {
  const auto offered = [&vm](std::uint32_t capability) {
    return static_cast<std::size_t>(vm.CheckExtension(capability));
  };
  switch (part) {
    case StatePart::kMpState:
      if (offered(KVM_CAP_MP_STATE) == 0) break;
      return {KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(kvm_mp_state)};
    case StatePart::kGeneralRegisters:
      return {KVM_GET_REGS, KVM_SET_REGS, sizeof(kvm_regs)};
    case StatePart::kSpecialRegisters:
      if (offered(KVM_CAP_SREGS2) != 0) {
        return {KVM_GET_SREGS2, KVM_SET_SREGS2, sizeof(kvm_sregs2)};
      }
      return {KVM_GET_SREGS, KVM_SET_SREGS, sizeof(kvm_sregs)};
    case StatePart::kFpu:
      return {KVM_GET_FPU, KVM_SET_FPU, sizeof(kvm_fpu)};
    case StatePart::kXcrs:
      if (offered(KVM_CAP_XCRS) == 0) break;
      return {KVM_GET_XCRS, KVM_SET_XCRS, sizeof(kvm_xcrs)};
    case StatePart::kXsave:
      // Its size is the VM's: dynamic features make it grow.
      if (const std::size_t bytes = offered(KVM_CAP_XSAVE2); bytes != 0) {
        return {KVM_GET_XSAVE2, KVM_SET_XSAVE, bytes};
      }
      if (offered(KVM_CAP_XSAVE) == 0) break;
      return {KVM_GET_XSAVE, KVM_SET_XSAVE, sizeof(kvm_xsave)};
    case StatePart::kDebugRegisters:
      if (offered(KVM_CAP_DEBUGREGS) == 0) break;
      return {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(kvm_debugregs)};
    case StatePart::kLapic:
      return {KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(kvm_lapic_state)};
    case StatePart::kNestedState:
      return {KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE,
              offered(KVM_CAP_NESTED_STATE)};
    case StatePart::kEvents:
      return {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
              sizeof(kvm_vcpu_events)};
    case StatePart::kMsrs:
    case StatePart::kCount:
      break;
  }
  return {};
}

// KVM_RUN loads CR8 from the shared page where the LAPIC is not the engine's.
std::uint64_t Cr8Of(const void* special) {
  static_assert(offsetof(kvm_sregs, cr8) == offsetof(kvm_sregs2, cr8));
  std::uint64_t cr8 = 0;
  std::memcpy(&cr8,
              static_cast<const std::byte*>(special) + offsetof(kvm_sregs, cr8),
              sizeof(cr8));
  return cr8;
}

}  // namespace

KvmState::KvmState(KvmVm& vm) : vm_(vm) {}

Result KvmState::Call(int fd, unsigned long request, void* argument) {
  return ::ioctl(fd, request, argument) == 0 ? Result::kOk : Fail(errno);
}

bool KvmState::HasLapic() {
  kvm_lapic_state lapic;
  return ::ioctl(vm_.kvm_vcpu(0).fd(), KVM_GET_LAPIC, &lapic) == 0;
}

std::size_t KvmState::part_size(std::uint32_t vcpu, StatePart part) {
  if (vcpu >= vm_.vcpu_count()) return 0;
  if (part == StatePart::kMsrs) return ReadableMsrs().size() * sizeof(MsrValue);
  if (part == StatePart::kLapic && !HasLapic()) return 0;
  return CallsOf(vm_, part).bytes;
}

Result KvmState::get_part(std::uint32_t vcpu, StatePart part, void* to,
                          std::size_t size) {
  const std::size_t bytes = part_size(vcpu, part);
  if (bytes == 0) return Result::kUnsupported;
  if (size < bytes) return Fail(EINVAL);
  KvmVcpu& of = vm_.kvm_vcpu(vcpu);
  if (!of.Settle()) return Fail(of.last_error());
  if (part == StatePart::kMsrs) return GetMsrs(vcpu, to, bytes);
  Aligned buffer(bytes);
  if (part == StatePart::kNestedState) {
    // KVM wants to know how much room there is.
    kvm_nested_state header = {};
    header.size = static_cast<__u32>(bytes);
    std::memcpy(buffer.data(), &header, std::min(bytes, sizeof(header)));
  }
  const Result result = Call(of.fd(), CallsOf(vm_, part).get, buffer.data());
  if (result == Result::kOk) std::memcpy(to, buffer.data(), bytes);
  return result;
}

Result KvmState::set_part(std::uint32_t vcpu, StatePart part, const void* from,
                          std::size_t size) {
  const std::size_t bytes = part_size(vcpu, part);
  if (bytes == 0) return Result::kUnsupported;
  if (size != bytes) return Fail(EINVAL);
  KvmVcpu& of = vm_.kvm_vcpu(vcpu);
  if (!of.Settle()) return Fail(of.last_error());
  if (part == StatePart::kMsrs) return SetMsrs(vcpu, from, size);
  Aligned buffer(bytes);
  std::memcpy(buffer.data(), from, bytes);
  const Result result = Call(of.fd(), CallsOf(vm_, part).set, buffer.data());
  if (result == Result::kOk && part == StatePart::kSpecialRegisters) {
    of.page().cr8 = Cr8Of(from);
  }
  of.StateWasSet();
  if (result == Result::kOk && part == StatePart::kFpu) {
    return ShowFpu(vcpu, from);
  }
  return result;
}

Result KvmState::ShowFpu(std::uint32_t vcpu, const void* from) {
  const std::size_t bytes = part_size(vcpu, StatePart::kXsave);
  if (bytes == 0) return Result::kOk;
  kvm_fpu fpu;
  std::memcpy(&fpu, from, sizeof(fpu));
  Aligned image(bytes);
  const Result result = get_part(vcpu, StatePart::kXsave, image.data(), bytes);
  if (result != Result::kOk) return result;
  auto* const to = static_cast<std::byte*>(image.data());
  const std::uint16_t control[4] = {fpu.fcw, fpu.fsw, fpu.ftwx,
                                    fpu.last_opcode};
  const std::uint64_t pointers[2] = {fpu.last_ip, fpu.last_dp};
  std::memcpy(to, control, sizeof(control));
  std::memcpy(to + kFxsaveFip, pointers, sizeof(pointers));
  std::memcpy(to + kFxsaveSt0, fpu.fpr, sizeof(fpu.fpr));
  std::memcpy(to + kFxsaveXmm0, fpu.xmm, sizeof(fpu.xmm));
  to[kXstateBv] |= kX87AndSse;
  return set_part(vcpu, StatePart::kXsave, image.data(), bytes);
}

const std::vector<std::uint32_t>& KvmState::ReadableMsrs() {
  if (msrs_known_) return msrs_;
  msrs_known_ = true;
  kvm_msr_list none = {};
  // With no room it answers E2BIG and the number.
  if (::ioctl(vm_.system().fd(), KVM_GET_MSR_INDEX_LIST, &none) != 0 &&
      errno != E2BIG) {
    return msrs_;
  }
  std::vector<std::uint32_t> list(1 + none.nmsrs);
  list[0] = none.nmsrs;
  if (::ioctl(vm_.system().fd(), KVM_GET_MSR_INDEX_LIST, list.data()) != 0) {
    return msrs_;
  }
  for (std::size_t i = 1; i < list.size(); ++i) {
    std::vector<kvm_msr_entry> one = {EntryOf(list[i])};
    if (vm_.kvm_vcpu(0).GetMsrs(&one).ok()) msrs_.push_back(list[i]);
  }
  return msrs_;
}

Result KvmState::GetMsrs(std::uint32_t vcpu, void* to, std::size_t size) {
  std::vector<kvm_msr_entry> entries;
  entries.reserve(msrs_.size());
  for (const std::uint32_t index : msrs_) entries.push_back(EntryOf(index));
  if (!vm_.kvm_vcpu(vcpu).GetMsrs(&entries).ok()) return Fail(EIO);
  std::memcpy(to, entries.data(), size);
  return Result::kOk;
}

Result KvmState::SetMsrs(std::uint32_t vcpu, const void* from,
                         std::size_t size) {
  std::vector<kvm_msr_entry> entries(size / sizeof(kvm_msr_entry));
  std::memcpy(entries.data(), from, size);
  KvmVcpu& of = vm_.kvm_vcpu(vcpu);
  of.StateWasSet();  // the APIC base is among them
  if (of.SetMsrs(entries).ok()) return Result::kOk;
  for (const kvm_msr_entry& entry : entries) {
    if (of.SetMsrs({entry}).ok()) continue;
    std::vector<kvm_msr_entry> now = {EntryOf(entry.index)};
    if (!of.GetMsrs(&now).ok() || now.front().data != entry.data) {
      return Fail(EINVAL);
    }
  }
  return Result::kOk;
}

}  // namespace worldswitch
