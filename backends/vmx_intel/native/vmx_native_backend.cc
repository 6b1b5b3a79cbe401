// The ring-0 backend of VT-x: detection, VMXON, VMs.

#include "backends/native/native_backend.h"
#include "backends/vmx_intel/native/vmx_enable.h"
#include "backends/vmx_intel/native/vmx_native_knobs.h"
#include "backends/vmx_intel/native/vmx_vm.h"
#include "backends/vmx_intel/native/vmx_wishes.h"

namespace worldswitch {
namespace {

// What Supported answers where a control is missing.
const char* MissingText(const VmxControlPlan& plan) {
  if (plan.missing_word == VmxControlWord::kPrimary &&
      plan.missing_bit == vmx::kSecondaryControls) {
    return "the CPU has no secondary processor-based controls, so neither EPT "
           "nor unrestricted guest";
  }
  if (plan.missing_word == VmxControlWord::kSecondary) {
    return plan.missing_bit == vmx::kEnableEpt
               ? "the CPU has no EPT (secondary processor-based control 1)"
               : "the CPU has no unrestricted guest (secondary processor-based "
                 "control 7)";
  }
  return "the CPU refuses a control that no VM can do without; "
         "IA32_VMX_*_CTLS tell which";
}

class VmxNativeBackend final : public NativeBackend {
 public:
  constexpr VmxNativeBackend() = default;

  const char* name() const override { return "vmx_intel"; }
  NativeKnobTable knobs() const override { return VmxNativeKnobs(); }
  bool Supported(const char** why) override;
  bool Enable(const HostServices& host, const char** why) override;
  void Disable() override { operation_.Stop(); }
  void Report(ReportSink& sink) override;
  NativeVm* CreateVm(const VmNeeds& needs, const NativeKnobValues& knobs,
                     const char** why) override;
  void DestroyVm(NativeVm* vm) override {
    VmxVm::Destroy(static_cast<VmxVm*>(vm));
  }

 private:
  VmxCapabilities capabilities_;
  VmxOperation operation_;
  const HostServices* host_ = nullptr;
  VmxCpu cpu_;
};

bool VmxNativeBackend::Supported(const char** why) {
  if (!VmxUsable(why)) return false;
  capabilities_ = ReadVmxCapabilities();
  const NativeKnobValues defaults(knobs());
  const VmxControlPlan plan =
      NegotiateControls(capabilities_, WishesOf(defaults));
  if (plan.possible) return true;
  *why = MissingText(plan);
  return false;
}

bool VmxNativeBackend::Enable(const HostServices& host, const char** why) {
  if (operation_.active()) {
    *why = "enabled already";
    return false;
  }
  if (!Supported(why) || !operation_.Start(host, capabilities_, why)) {
    return false;
  }
  host_ = &host;
  return true;
}

void VmxNativeBackend::Report(ReportSink& sink) {
  for (std::uint32_t i = 0; i < kVmxMsrCount; ++i) {
    const auto msr = static_cast<VmxMsr>(kFirstVmxMsr + i);
    if (!capabilities_.Known(msr)) continue;
    TextLine text;
    text.AppendHex(capabilities_.Value(msr));
    sink.Fact(VmxMsrName(msr), text.c_str());
  }
  const NativeKnobValues defaults(knobs());
  const VmxControlPlan plan =
      NegotiateControls(capabilities_, WishesOf(defaults));
  for (std::size_t i = 0; i < kVmxControlWords; ++i) {
    const auto word = static_cast<VmxControlWord>(i);
    TextLine key;
    key.Append("controls.").Append(VmxControlWordName(word));
    TextLine text;
    text.AppendHex(plan.value[word]);
    sink.Fact(key.c_str(), text.c_str());
    for (unsigned bit = 0; bit < 32; ++bit) {
      const bool refused = (plan.refused[word] >> bit & 1) != 0;
      const bool forced = (plan.forced[word] >> bit & 1) != 0;
      if (!refused && !forced) continue;
      const char* name = VmxControlName(word, bit);
      // A forced bit without a name is one of the default1 class.
      if (forced && name == nullptr) continue;
      TextLine control;
      control.Append(refused ? "refused." : "forced.")
          .Append(VmxControlWordName(word))
          .Append(".bit_")
          .AppendDecimal(bit);
      TextLine what;
      what.Append(name != nullptr ? name : "(no name)")
          .Append(refused ? ": wanted, and cannot be 1"
                          : ": not wanted, and cannot be 0");
      sink.Fact(control.c_str(), what.c_str());
    }
  }
}

NativeVm* VmxNativeBackend::CreateVm(const VmNeeds& needs,
                                     const NativeKnobValues& knobs,
                                     const char** why) {
  if (!operation_.active()) {
    *why = "the backend is not enabled";
    return nullptr;
  }
  return VmxVm::Create(cpu_, *host_, capabilities_, needs, knobs, why);
}

constinit VmxNativeBackend backend;

}  // namespace

NativeBackend& NativeVmxBackend() { return backend; }

}  // namespace worldswitch
