// The native SVM backend as its host sees it.

#include "backends/native/native_backend.h"
#include "backends/svm_amd/native/svm_cpu.h"
#include "backends/svm_amd/native/svm_features.h"
#include "backends/svm_amd/native/svm_native_knobs.h"
#include "backends/svm_amd/native/svm_vm.h"

namespace worldswitch {
namespace svm {
namespace {

class SvmNativeBackend final : public NativeBackend {
 public:
  const char* name() const override { return "svm_amd"; }
  NativeKnobTable knobs() const override { return SvmNativeKnobs(); }

  bool Supported(const char** why) override {
    const char* const missing = MissingRequirement(ProbeSvmFeatures());
    if (missing == nullptr) return true;
    *why = missing;
    return false;
  }

  bool Enable(const HostServices& host, const char** why) override {
    if (!Supported(why) || !cpu_.Enable(host, why)) return false;
    host_ = &host;
    features_ = ProbeSvmFeatures();
    limits_ = ProbeSvmLimits();
    for (SvmVm* vm = vms_; vm != nullptr; vm = vm->next) vm->SetEnabled(true);
    return true;
  }

  // VMs may outlive it; until it is enabled again their runs answer kError,
  // ENXIO.
  void Disable() override {
    for (SvmVm* vm = vms_; vm != nullptr; vm = vm->next) vm->SetEnabled(false);
    cpu_.Disable();
  }

  void Report(ReportSink& sink) override {
    ReportSvmFeatures(ProbeSvmFeatures(), sink);
  }

  NativeVm* CreateVm(const VmNeeds& needs, const NativeKnobValues& knobs,
                     const char** why) override {
    if (!cpu_.enabled()) {
      *why = "SVM is not enabled on this processor";
      return nullptr;
    }
    SvmVm* const vm =
        SvmVm::Make(*host_, cpu_, features_, limits_, needs, knobs, why);
    if (vm == nullptr) return nullptr;
    vm->next = vms_;
    vms_ = vm;
    return vm;
  }

  void DestroyVm(NativeVm* vm) override {
    SvmVm** at = &vms_;
    while (*at != nullptr && *at != vm) at = &(*at)->next;
    if (*at == nullptr) return;
    SvmVm* const found = *at;
    *at = found->next;
    SvmVm::Destroy(found);
  }

 private:
  const HostServices* host_ = nullptr;
  SvmCpu cpu_;
  SvmFeatures features_;
  SvmLimits limits_;
  SvmVm* vms_ = nullptr;
};

constinit SvmNativeBackend backend;

}  // namespace
}  // namespace svm

NativeBackend& NativeSvmBackend() { return svm::backend; }

}  // namespace worldswitch
