// The scripted backend: VMs whose vCPUs each play the same script. Not a
// machine, so `auto` never chooses it.
//
// `--backend scripted:script=FILE` reads the script from a file
// (script_text.h); programs may make one from a script of their own.
// `--backend scripted:recording=FILE` plays a recording (replay_backend.h).

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_BACKEND_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_BACKEND_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/scripted/script.h"
#include "backends/scripted/scripted_vcpu.h"
#include "core/host/backend.h"
#include "core/host/guest_memory.h"

namespace worldswitch {

class ScriptedVm final : public Vm {
 public:
  // Errors: a script whose status is not ok, no vCPU, a knob (there are none),
  // memory that cannot be had.
  static absl::StatusOr<std::unique_ptr<ScriptedVm>> Create(
      const Script& script, const VmConfig& config);

  MemoryView memory() override;
  std::uint32_t vcpu_count() const override;
  VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  bool has(Capability capability) const override;
  // Always unknown: there is no engine that counts.
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override;
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override;

  // The same vCPU, with what it wrote down.
  ScriptedVcpu& scripted_vcpu(std::uint32_t index) { return *vcpus_[index]; }

 private:
  explicit ScriptedVm(GuestMemory memory) : memory_(std::move(memory)) {}

  GuestMemory memory_;
  std::vector<std::unique_ptr<ScriptedVcpu>> vcpus_;
};

std::unique_ptr<Backend> MakeScriptedBackend(Script script);

// Takes script=FILE or recording=FILE, and needs one of them.
BackendFactory ScriptedBackendFactory();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_BACKEND_H_
