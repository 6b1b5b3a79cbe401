#include "backends/svm_amd/native/svm_vm.h"

#include <new>
#include <utility>

#include "backends/svm_amd/native/svm_processor.h"

namespace worldswitch::svm {
namespace {

constexpr std::size_t kIopmPages = 3;  // 64 Ki ports, and three bits more

constexpr std::size_t PagesOf(std::size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes;
}

}  // namespace

SvmVm* SvmVm::Make(const HostServices& host, SvmCpu& cpu,
                   const SvmFeatures& features, const SvmLimits& limits,
                   const VmNeeds& needs, const NativeKnobValues& knobs,
                   const char** why) {
  if (needs.memory_bytes == 0 || needs.memory_bytes % kPageBytes != 0) {
    *why = "a VM's memory is a multiple of 4096 bytes, and not 0";
    return nullptr;
  }
  if (needs.vcpus == 0 || needs.vcpus > kMaxVcpus) {
    *why = "a native VM has 1 to 8 vCPUs";
    return nullptr;
  }
  if (Value(knobs, SvmKnob::kAsid) + needs.vcpus > features.asids) {
    *why = "knob asid: the processor has fewer address space identifiers";
    return nullptr;
  }
  void* const pages =
      host.allocate_pages(host.context, PagesOf(sizeof(SvmVm)), kPageBytes);
  if (pages == nullptr) {
    *why = "the host has no page for the VM";
    return nullptr;
  }
  auto* const vm = new (pages) SvmVm(host, cpu, features, limits, needs, knobs);
  bool made = vm->ok();
  for (std::uint32_t i = 0; made && i < needs.vcpus; ++i) made = vm->AddVcpu();
  if (made) return vm;
  *why = "the host has not enough pages for the VM";
  Destroy(vm);
  return nullptr;
}

void SvmVm::Destroy(SvmVm* vm) {
  const HostServices& host = vm->host_;
  vm->~SvmVm();
  host.free_pages(host.context, vm, PagesOf(sizeof(SvmVm)));
}

SvmVm::SvmVm(const HostServices& host, SvmCpu& cpu, const SvmFeatures& features,
             const SvmLimits& limits, const VmNeeds& needs,
             const NativeKnobValues& knobs)
    : host_(host),
      knobs_(knobs),
      limits_(limits),
      memory_(host, needs.memory_bytes,
              static_cast<NestedPageSize>(Value(knobs, SvmKnob::kNptPageSize)),
              features.has_1gib_pages),
      msrs_(host, static_cast<MsrBitmap>(Value(knobs, SvmKnob::kMsrBitmap))),
      iopm_(host, kIopmPages),
      parts_{.host = host_,
             .cpu = cpu,
             .memory = memory_,
             .msrs = msrs_,
             .features = features,
             .limits = limits_,
             .knobs = knobs_} {
  const SvmProcessor processor = ProbeSvmProcessor(features);
  parts_.spares_data_breakpoints = processor == SvmProcessor::kQemu;
  parts_.lacks_xsetbv_intercept = processor == SvmProcessor::kQemu;
  parts_.misses_open_window = processor == SvmProcessor::kBochs;
  if (!iopm_) return;
  __builtin_memset(iopm_.as(), 0xFF, iopm_.bytes());
  parts_.iopm_pa = iopm_.physical();
}

SvmVm::~SvmVm() {
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) vcpus_[i]->~SvmVcpu();
}

bool SvmVm::AddVcpu() {
  const std::uint32_t index = vcpu_count_;
  vcpu_pages_[index] = HostPages(host_, PagesOf(sizeof(SvmVcpu)));
  if (!vcpu_pages_[index]) return false;
  SvmKickTarget* const kick = SvmKickTarget::Make(host_);
  if (kick == nullptr) return false;
  const auto asid =
      static_cast<std::uint32_t>(Value(knobs_, SvmKnob::kAsid)) + index;
  vcpus_[index] = new (vcpu_pages_[index].as())
      SvmVcpu(parts_, vcpu_pages_[index], kick, asid);
  ++vcpu_count_;
  return true;
}

void SvmVm::SetEnabled(bool enabled) {
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) {
    vcpus_[i]->SetEnabled(enabled);
  }
}

void SvmVm::FlushAll() {
  for (std::uint32_t i = 0; i < vcpu_count_; ++i) vcpus_[i]->Flush();
}

bool SvmVm::has(Capability capability) const {
  switch (capability) {
    case Capability::kIrqInjection:
    case Capability::kIrqWindow:
    case Capability::kNmiInjection:
    case Capability::kExceptionInjection:
    case Capability::kCounters:
    case Capability::kDiscardMemory:
    case Capability::kSharedTimeStamp:
      return true;
    default:
      return false;
  }
}

OptionalValue SvmVm::counter(Counter counter, std::uint32_t vcpu_index) {
  return vcpu_index < vcpu_count_ ? vcpus_[vcpu_index]->counter(counter)
                                  : OptionalValue{};
}

Result SvmVm::discard_memory(std::uint64_t gpa, std::uint64_t length) {
  if (!memory_.Discard(gpa, length)) return Result::kError;
  FlushAll();
  return Result::kOk;
}

void* SvmVm::feature(FeatureId id) {
  switch (id) {
    case FeatureId::kProcessorControls:
      return static_cast<ProcessorControls*>(this);
    case FeatureId::kMsrExits:
      return static_cast<MsrExits*>(&msrs_);
    default:
      return nullptr;
  }
}

void SvmVm::DumpState(std::uint32_t vcpu_index, const HostServices& host) {
  if (vcpu_index >= vcpu_count_) return;
  SvmVcpu& vcpu = *vcpus_[vcpu_index];
  DumpVmcb(vcpu.vmcb(), vcpu.failure(), limits_, host);
}

}  // namespace worldswitch::svm
