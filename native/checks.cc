#include "native/checks.h"

namespace worldswitch {
namespace {

void Skip(CheckSink& sink) {
  sink.Check("failures", CheckVerdict::kSkipped,
             "this image was built without the vendor's checks");
}

}  // namespace

// A vendor's own definitions take the place of these.
[[gnu::weak]] void RunVmxFailureChecks(NativeBackend& /*backend*/,
                                       const HostServices& /*host*/,
                                       CheckSink& sink) {
  Skip(sink);
}
[[gnu::weak]] void RunSvmFailureChecks(NativeBackend& /*backend*/,
                                       const HostServices& /*host*/,
                                       CheckSink& sink) {
  Skip(sink);
}

}  // namespace worldswitch
