// A VM that hands every op on to another one, and records what was asked and
// what came back.

#ifndef RECORDER_PLUGIN_RECORDER_VM_H_
#define RECORDER_PLUGIN_RECORDER_VM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/host/forwarding.h"
#include "core/recording_event.h"
#include "core/recording_registers.h"
#include "core/vcpu_ops.h"
#include "core/vm_ops.h"
#include "recording_file.h"

namespace recorder {

namespace ws = worldswitch;

class RecorderVcpu final : public ws::ForwardingVcpu {
 public:
  // inner and file outlive it. vm: its VM's number in the file.
  RecorderVcpu(ws::VcpuOps& inner, RecordingFile& file, std::uint32_t vm,
               std::uint32_t vcpu);
  ~RecorderVcpu() override { Flush(); }

  ws::Exit run() override;
  ws::Disposition handle_exit(const ws::Exit& exit) override;
  bool interrupt_allowed() override;
  ws::InjectResult inject_irq(std::uint8_t vector) override;
  ws::InjectResult inject_nmi() override;
  ws::InjectResult inject_exception(const ws::Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override;
  bool cancel_injection(ws::Event* cancelled) override;
  ws::Result fetch_registers(ws::RegisterSet groups) override;
  ws::Result commit_registers() override;
  ws::OptionalValue exit_detail(ws::ExitDetail detail) override;
  // A kick is no event: what it does is the exit that it causes.

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
  void RecordInjection(const ws::Event& injected, ws::InjectResult result);

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

// Features are the inner VM's; what they are asked is not recorded.
class RecorderVm final : public ws::ForwardingVm {
 public:
  // inner and file outlive it.
  RecorderVm(ws::VmOps& inner, RecordingFile& file);
};

}  // namespace recorder

#endif  // RECORDER_PLUGIN_RECORDER_VM_H_
