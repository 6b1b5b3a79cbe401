// The backend `kvm`: any engine behind /dev/kvm.
//
//   registry.Add(KvmBackendFactory());
//   registry.Open("kvm:device=/dev/kvm,kick_signal=40");
//
// The vendor backends derive from KvmBackend: they give it a name and knobs of
// their own, and apply those in ApplyKnobs.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_BACKEND_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_BACKEND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/kvm_system.h"
#include "backends/kvm/kvm_vm.h"
#include "core/host/backend.h"
#include "core/host/knob.h"

namespace worldswitch {

// What a spec's parameters say.
struct KvmBackendOptions {
  std::string device = KvmSystem::kDefaultDevice;
  int kick_signal = 0;  // 0: KickBlock::DefaultSignal()
};
// The keys it understands, for BackendFactory::parameters.
std::vector<Fact> KvmBackendParameters();
absl::StatusOr<KvmBackendOptions> ParseKvmBackendOptions(
    const BackendSpec& spec);

class KvmBackend : public Backend {
 public:
  // extra_knobs: beside those that hold for every engine.
  KvmBackend(std::string name, std::shared_ptr<const KvmSystem> system,
             int kick_signal, std::vector<Knob> extra_knobs = {});

  const std::string& name() const override { return name_; }
  std::string engine() const override;
  std::vector<Fact> facts() const override;
  const KnobSet& knobs() const override { return knobs_; }
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(const VmConfig& config) override;
  // The same, for a caller that wants direct calls.
  absl::StatusOr<std::unique_ptr<KvmVm>> CreateKvmVm(const VmConfig& config);

  const KvmSystem& system() const { return *system_; }

 protected:
  // Turns settings, already checked against knobs(), into options. One that
  // overrides this calls it first.
  virtual absl::Status ApplyKnobs(const KnobSettings& settings,
                                  KvmVmOptions* options) const;

 private:
  const std::string name_;
  const std::shared_ptr<const KvmSystem> system_;
  const int kick_signal_;
  const KnobSet knobs_;
};

// Ok if a VM can be made on `device`; it makes one and takes it away again.
absl::Status ProbeKvm(const std::string& device = KvmSystem::kDefaultDevice);

BackendFactory KvmBackendFactory();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_BACKEND_H_
