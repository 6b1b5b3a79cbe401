#include "backends/native/native_backend.h"

namespace worldswitch {
namespace {

class SvmNativeBackend final : public NativeBackend {
 public:
  const char* name() const override { return "svm_amd"; }
  NativeKnobTable knobs() const override { return {}; }
  bool Supported(const char** why) override {
    *why = "this image was built without SVM";
    return false;
  }
  bool Enable(const HostServices& /*host*/, const char** why) override {
    return Supported(why);
  }
  void Disable() override {}
  void Report(ReportSink& /*sink*/) override {}
  NativeVm* CreateVm(const VmNeeds& /*needs*/,
                     const NativeKnobValues& /*knobs*/,
                     const char** why) override {
    Supported(why);
    return nullptr;
  }
  void DestroyVm(NativeVm* /*vm*/) override {}
};

constinit SvmNativeBackend backend;

}  // namespace

NativeBackend& NativeSvmBackend() { return backend; }

}  // namespace worldswitch
