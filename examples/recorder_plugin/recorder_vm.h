// A VM that hands every op on to another one, and records what was asked and
// what came back.

#ifndef RECORDER_PLUGIN_RECORDER_VM_H_
#define RECORDER_PLUGIN_RECORDER_VM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/recording_event.h"
#include "core/recording_registers.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"
#include "recording_file.h"

namespace recorder {

namespace ws = worldswitch;

class RecorderVcpu final : public ws::VcpuOps {
 public:
  // inner and file outlive it. vm: its VM's number in the file.
  RecorderVcpu(ws::VcpuOps& inner, RecordingFile& file, std::uint32_t vm,
               std::uint32_t vcpu);
  ~RecorderVcpu() { Flush(); }
  RecorderVcpu(const RecorderVcpu&) = delete;
  RecorderVcpu& operator=(const RecorderVcpu&) = delete;

  ws::Exit run() override;
  ws::Disposition handle_exit(const ws::Exit& exit) override;
  bool interrupt_allowed() override;
  ws::InjectResult inject_irq(std::uint8_t vector) override;
  ws::InjectResult inject_nmi() override;
  ws::InjectResult inject_exception(const ws::Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override;
  bool cancel_injection(ws::Event* event) override;
  ws::RegisterFile& registers() override { return inner_.registers(); }
  ws::Result fetch_registers(ws::RegisterSet groups) override;
  ws::Result commit_registers() override;
  ws::OptionalValue exit_detail(ws::ExitDetail detail) override;
  // A kick is not an op: what it does is the exit that it causes.
  ws::KickHandle kick_handle() override { return inner_.kick_handle(); }
  int last_error() const override { return inner_.last_error(); }

 private:
  // An event with nothing but its op; the same one each time.
  ws::RecordedEvent& Begin(ws::RecordedOp op);
  // Into the buffer, as Begin gave it and it was filled since.
  void Record();
  void Flush();
  // What the caller stored for the last exit, before the backend takes it.
  void RecordGiven();
  void RecordDirty();
  void RecordCached(ws::RegisterSet groups);
  void NoteRegisters(ws::RecordedEvent& event);
  void RecordInjection(const ws::Event& event, ws::InjectResult result);

  ws::VcpuOps& inner_;
  RecordingFile& file_;
  const std::uint32_t vm_;
  const std::uint32_t vcpu_;
  bool is_recording_ = true;
  // The last exit, while the caller may still store data for it.
  bool is_given_ = true;
  ws::Exit last_ = {};
  ws::RegisterWords words_;
  ws::RecordedEvent event_;
  // Filled to at most so much, so that one more event fits.
  static constexpr std::size_t kBuffer = std::size_t{64} << 10;
  std::vector<std::uint8_t> buffer_;
  std::size_t used_ = 0;
  std::uint32_t events_ = 0;
};

class RecorderVm final : public ws::VmOps {
 public:
  // inner and file outlive it.
  RecorderVm(ws::VmOps& inner, RecordingFile& file);

  ws::MemoryView memory() override { return inner_.memory(); }
  std::uint32_t vcpu_count() const override { return inner_.vcpu_count(); }
  ws::VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  bool has(ws::Capability capability) const override {
    return inner_.has(capability);
  }
  ws::OptionalValue counter(ws::Counter counter,
                            std::uint32_t vcpu_index) override {
    return inner_.counter(counter, vcpu_index);
  }
  ws::Result discard_memory(std::uint64_t gpa, std::uint64_t length) override {
    return inner_.discard_memory(gpa, length);
  }
  // Features are the inner VM's; what they are asked is not recorded.
  void* feature(ws::FeatureId id) override { return inner_.feature(id); }

  ws::VmOps& inner() { return inner_; }

 private:
  ws::VmOps& inner_;
  std::vector<std::unique_ptr<RecorderVcpu>> vcpus_;
};

}  // namespace recorder

#endif  // RECORDER_PLUGIN_RECORDER_VM_H_
