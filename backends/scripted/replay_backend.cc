#include "backends/scripted/replay_backend.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/scripted/replayed_vcpu.h"
#include "core/host/guest_memory.h"

namespace worldswitch {
namespace {

class ReplayVm final : public Vm {
 public:
  // recording: of which `vm` is one.
  ReplayVm(std::shared_ptr<const Recording> recording,
           const Recording::RecordedVm& vm, GuestMemory memory)
      : recording_(std::move(recording)),
        capabilities_(vm.about.capabilities),
        memory_(std::move(memory)) {
    for (const Recording::VcpuEvents& events : vm.vcpus) {
      vcpus_.push_back(std::make_unique<ReplayedVcpu>(events));
    }
  }

  MemoryView memory() override {
    return {.host = memory_.data(), .gpa = 0, .size = memory_.size()};
  }
  std::uint32_t vcpu_count() const override {
    return static_cast<std::uint32_t>(vcpus_.size());
  }
  VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  // What the recorded one had, but for what needs a machine.
  bool has(Capability capability) const override {
    if (capability == Capability::kCounters ||
        capability == Capability::kSharedTimeStamp) {
      return false;
    }
    return (capabilities_ >> static_cast<unsigned>(capability) & 1) != 0;
  }
  OptionalValue counter(Counter /*counter*/, std::uint32_t /*vcpu*/) override {
    return {};
  }
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override {
    return memory_.Discard(gpa, length).ok() ? Result::kOk : Result::kError;
  }
  std::string Explain(const Exit& exit) const override {
    if (exit.reason != ExitReason::kError ||
        exit.raw != kDivergedFromRecording) {
      return "";
    }
    std::string text;
    for (std::size_t i = 0; i < vcpus_.size(); ++i) {
      const std::string& divergence = vcpus_[i]->divergence();
      if (divergence.empty()) continue;
      absl::StrAppend(&text, text.empty() ? "" : "; ", "vCPU ", i, ": ",
                      divergence);
    }
    return text;
  }

 private:
  const std::shared_ptr<const Recording> recording_;
  const std::uint32_t capabilities_;
  GuestMemory memory_;
  std::vector<std::unique_ptr<ReplayedVcpu>> vcpus_;
};

class ReplayBackend final : public Backend {
 public:
  explicit ReplayBackend(Recording recording)
      : recording_(std::make_shared<const Recording>(std::move(recording))) {}

  const std::string& name() const override { return name_; }
  std::string engine() const override { return "none"; }
  std::vector<Fact> facts() const override {
    std::uint64_t events = 0;
    for (const Recording::RecordedVm& vm : recording_->vms) {
      for (const Recording::VcpuEvents& vcpu : vm.vcpus) events += vcpu.events;
    }
    std::string state = "whole";
    if ((recording_->flags & kRecordingLimited) != 0) {
      state = "ends where its limit was reached";
    }
    if ((recording_->flags & kRecordingFailed) != 0) {
      state = "ends where a write failed";
    }
    if ((recording_->flags & kRecordingClosed) == 0) {
      state = "ends where the recorder did, which was not in order";
    }
    return {{"recorded_backend", recording_->backend},
            {"recorded_engine", recording_->engine},
            {"vms", absl::StrCat(recording_->vms.size())},
            {"events", absl::StrCat(events)},
            {"recording_is", state}};
  }
  const KnobSet& knobs() const override { return knobs_; }
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(
      const VmConfig& config) override {
    if (absl::Status checked = knobs_.Check(config.knobs); !checked.ok()) {
      return checked;
    }
    if (next_ == recording_->vms.size()) {
      return absl::OutOfRangeError(
          absl::StrCat("the recording has ", next_, " VMs, and no more"));
    }
    const Recording::RecordedVm& vm = recording_->vms[next_];
    if (config.needs.vcpus != vm.about.vcpus ||
        config.needs.memory_bytes > vm.about.memory_bytes) {
      return absl::FailedPreconditionError(absl::StrCat(
          "VM ", next_, " of the recording has ", vm.about.vcpus, " vCPUs and ",
          vm.about.memory_bytes, " bytes; asked for are ", config.needs.vcpus,
          " and ", config.needs.memory_bytes));
    }
    absl::StatusOr<GuestMemory> memory =
        GuestMemory::Create(config.needs.memory_bytes, config.backing);
    if (!memory.ok()) return memory.status();
    ++next_;
    return std::make_unique<ReplayVm>(recording_, vm, *std::move(memory));
  }

 private:
  const std::string name_ = "scripted";
  const std::shared_ptr<const Recording> recording_;
  const KnobSet knobs_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeReplayBackend(Recording recording) {
  return std::make_unique<ReplayBackend>(std::move(recording));
}

}  // namespace worldswitch
