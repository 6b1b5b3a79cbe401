#include "backends/vmx_intel/native/vmx_vm.h"

#include <new>

#include "backends/vmx_intel/native/vmx_native_knobs.h"
#include "backends/vmx_intel/native/vmx_wishes.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

constexpr std::size_t kIoBitmapPages = 2;
constexpr std::size_t kBitmapPages = kIoBitmapPages + 1;

template <typename T>
constexpr std::size_t PagesOf(std::size_t count) {
  return (count * sizeof(T) + kPageBytes - 1) / kPageBytes;
}

// MSRs that an entry and an exit switch: the guest's own.
constexpr std::uint32_t kSwitchedMsrs[] = {
    0x174,       // IA32_SYSENTER_CS
    0x175,       // IA32_SYSENTER_ESP
    0x176,       // IA32_SYSENTER_EIP
    0xc0000100,  // IA32_FS_BASE
    0xc0000101,  // IA32_GS_BASE
};
constexpr std::uint32_t kMsrTimeStamp = 0x10;  // to be read

}  // namespace

VmxVm::VmxVm(VmxCpu& cpu, const HostServices& host,
             const VmxCapabilities& capabilities, const NativeKnobValues& knobs)
    : host_(host),
      memory_(
          host, capabilities,
          static_cast<NestedPageSize>(ValueOf(knobs, VmxKnob::kEptPageSize)),
          IsOn(knobs, VmxKnob::kEptAccessedDirty)),
      shared_{.cpu = cpu,
              .host = host,
              .capabilities = capabilities,
              .memory = memory_,
              .plan = NegotiateControls(capabilities, WishesOf(knobs)),
              .asked_exceptions = static_cast<std::uint32_t>(
                  ValueOf(knobs, VmxKnob::kExceptionBitmap)),
              .timer_ticks = ValueOf(knobs, VmxKnob::kPreemptionTimer),
              .ple_gap =
                  static_cast<std::uint32_t>(ValueOf(knobs, VmxKnob::kPleGap)),
              .ple_window = static_cast<std::uint32_t>(
                  ValueOf(knobs, VmxKnob::kPleWindow))} {}

VmxVm::~VmxVm() {
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) vcpus_[i].~VmxVcpu();
  if (vcpus_ != nullptr) host_.free_pages(host_.context, vcpus_, vcpu_pages_);
}

VmxVm* VmxVm::Create(VmxCpu& cpu, const HostServices& host,
                     const VmxCapabilities& capabilities, const VmNeeds& needs,
                     const NativeKnobValues& knobs, const char** why) {
  void* pages =
      host.allocate_pages(host.context, PagesOf<VmxVm>(1), kPageBytes);
  if (pages == nullptr) {
    *why = "no page left for the VM";
    return nullptr;
  }
  auto* vm = new (pages) VmxVm(cpu, host, capabilities, knobs);
  if (vm->Build(needs, knobs, why)) return vm;
  Destroy(vm);
  return nullptr;
}

void VmxVm::Destroy(VmxVm* vm) {
  const HostServices& host = vm->host_;
  vm->~VmxVm();
  host.free_pages(host.context, vm, PagesOf<VmxVm>(1));
}

bool VmxVm::Build(const VmNeeds& needs, const NativeKnobValues& knobs,
                  const char** why) {
  if (!shared_.plan.possible) {
    *why = "the CPU refuses a control that no VM can do without";
    return false;
  }
  if (needs.vcpus == 0 || needs.vcpus > kMaxVcpus) {
    *why = "a VM has 1 to 16 vCPUs here";
    return false;
  }
  if (needs.memory_bytes % kPageBytes != 0 ||
      !memory_.Create(needs.memory_bytes)) {
    *why = "the host has no memory of that size in one piece";
    return false;
  }
  bitmaps_ = HostPages(host_, kBitmapPages);
  vcpu_pages_ = PagesOf<VmxVcpu>(needs.vcpus);
  void* vcpus = host_.allocate_pages(host_.context, vcpu_pages_, kPageBytes);
  vcpus_ = static_cast<VmxVcpu*>(vcpus);
  if (!bitmaps_ || vcpus == nullptr) {
    *why = "no pages left for the VM";
    return false;
  }
  auto* bytes = bitmaps_.as<std::byte>();
  std::byte* msr_bitmap = bytes + kIoBitmapPages * kPageBytes;
  __builtin_memset(bytes, 0xff, bitmaps_.bytes());
  if (ValueOf(knobs, VmxKnob::kMsrBitmap) == kMsrBitmapSwitched) {
    for (const std::uint32_t msr : kSwitchedMsrs) {
      SetMsrBits(msr_bitmap, msr, false, false);
    }
    SetMsrBits(msr_bitmap, kMsrTimeStamp, false, true);
  }
  shared_.io_bitmap_a = bitmaps_.physical();
  shared_.io_bitmap_b = bitmaps_.physical() + kPageBytes;
  shared_.msr_bitmap = bitmaps_.physical() + kIoBitmapPages * kPageBytes;
  for (std::uint32_t i = 0; i < needs.vcpus; ++i) {
    auto* vcpu = new (vcpus_ + i) VmxVcpu(shared_);
    ++vcpu_count_;
    if (!vcpu->Create(why)) return false;
  }
  const bool has_bitmap = (shared_.plan.value[Word::kPrimary] &
                           ControlBit(vmx::kUseMsrBitmaps)) != 0;
  controls_ = new (controls_storage_) VmxProcessorControls(
      shared_, vcpus_, vcpu_count_, has_bitmap ? msr_bitmap : nullptr);
  return true;
}

bool VmxVm::has(Capability capability) const {
  switch (capability) {
    case Capability::kIrqInjection:
    case Capability::kIrqWindow:
    case Capability::kExceptionInjection:
    case Capability::kCounters:
    case Capability::kDiscardMemory:
    case Capability::kSharedTimeStamp:
      return true;
    case Capability::kNmiInjection:
      return (shared_.plan.value[Word::kPin] &
              ControlBit(vmx::kPinVirtualNmis)) != 0;
    default:
      return false;
  }
}

OptionalValue VmxVm::counter(Counter counter, std::uint32_t vcpu_index) {
  if (vcpu_index >= vcpu_count_) return {};
  return vcpus_[vcpu_index].counter(counter);
}

Result VmxVm::discard_memory(std::uint64_t gpa, std::uint64_t length) {
  return memory_.Discard(gpa, length);
}

void* VmxVm::feature(FeatureId id) {
  if (id != FeatureId::kProcessorControls) return nullptr;
  return static_cast<ProcessorControls*>(controls_);
}

void VmxVm::DumpState(std::uint32_t vcpu_index, const HostServices& host) {
  if (vcpu_index >= vcpu_count_) return;
  VmxVcpu& vcpu = vcpus_[vcpu_index];
  vcpu.MakeCurrent();
  host.log(host.context, TextOf(vcpu.failure()).c_str());
  DumpVmcs(vcpu.vmcs(), host);
}

}  // namespace worldswitch
