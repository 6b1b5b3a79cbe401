// The image's own checks: each vendor provokes every failure of its entry that
// can be written, and says what came of it. The image runs and prints them.
//
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_CHECKS_H_
#define WORLDSWITCH_NATIVE_CHECKS_H_

#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/native/native_backend.h"

namespace worldswitch {

enum class CheckVerdict : std::uint8_t {
  kPassed,
  kFailed,
  kDeviates,  // known of this emulator; the text says which rule, and why
  kSkipped,
};

class CheckSink {
 public:
  // name: one word, lower case with dots and underscores,
  // "entry.guest_state.cr0_pg_without_pe". text: what was expected and seen.
  virtual void Check(const char* name, CheckVerdict verdict,
                     const char* text) = 0;

 protected:
  ~CheckSink() = default;
};

// Every class of bad guest state, bad control and bad host state, each on a VM
// of its own or put back afterwards. The backend is enabled when they are
// called and when they return. backends/vmx_intel/native and
// backends/svm_amd/native define them.
void RunVmxFailureChecks(NativeBackend& backend, const HostServices& host,
                         CheckSink& sink);
void RunSvmFailureChecks(NativeBackend& backend, const HostServices& host,
                         CheckSink& sink);

}  // namespace worldswitch

#endif  // WORLDSWITCH_NATIVE_CHECKS_H_
