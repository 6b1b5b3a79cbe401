#include "recorder_vm.h"

#include <memory>

#include "core/recording_exit.h"

namespace recorder {

using ws::RecordedEvent;
using ws::RecordedOp;
using ws::RegisterSet;

RecorderVcpu::RecorderVcpu(ws::VcpuOps& inner, RecordingFile& file,
                           std::uint32_t vm, std::uint32_t vcpu)
    : ForwardingVcpu(inner),
      file_(file),
      vm_(vm),
      vcpu_(vcpu),
      buffer_(kBuffer + ws::kMostEventBytes) {}

RecordedEvent& RecorderVcpu::Begin(RecordedOp op) {
  event_.op = op;
  return event_;
}

void RecorderVcpu::Record() {
  if (!is_recording_) return;
  is_recording_ = file_.TakeOne();
  if (!is_recording_) return;
  ws::EventWriter writer(buffer_.data() + used_, buffer_.size() - used_);
  ws::TransferEvent(writer, event_);
  used_ += writer.size();
  ++events_;
  if (used_ >= kBuffer) Flush();
}

void RecorderVcpu::Flush() {
  if (events_ == 0) return;
  file_.Append(vm_, vcpu_, buffer_.data(), used_, events_);
  used_ = 0;
  events_ = 0;
}

void RecorderVcpu::RecordGiven() {
  if (is_given_) return;
  is_given_ = true;
  ws::PackGiven(last_, &event_);
  Record();
}

void RecorderVcpu::RecordDirty() {
  ws::RegisterFile& file = inner().registers();
  for (const RegisterSet group :
       {ws::kGeneralRegisters, ws::kSpecialRegisters}) {
    if ((file.dirty & group) == 0) continue;
    words_.Pack(file, group, &Begin(RecordedOp::kDirty));
    Record();
  }
}

void RecorderVcpu::RecordCached(RegisterSet groups) {
  ws::RegisterFile& file = inner().registers();
  for (const RegisterSet group :
       {ws::kGeneralRegisters, ws::kSpecialRegisters}) {
    // What is dirty as well has been told as the caller's.
    if ((groups & file.cached & ~file.dirty & group) == 0) continue;
    words_.Pack(file, group, &Begin(RecordedOp::kCached));
    Record();
  }
}

void RecorderVcpu::NoteRegisters(RecordedEvent& event) {
  event.cached = inner().registers().cached;
  event.dirty = inner().registers().dirty;
}

ws::Exit RecorderVcpu::run() {
  RecordGiven();
  RecordDirty();
  const RegisterSet wanted = inner().registers().wanted;
  const ws::Exit exit = inner().run();
  if (!is_recording_) return exit;
  RecordedEvent& event = Begin(RecordedOp::kRun);
  event.groups = wanted;
  NoteRegisters(event);
  ws::PackExit(exit, &event);
  Record();
  RecordCached(ws::kAllRegisters);
  if (ws::WantsData(exit)) {
    last_ = exit;
    is_given_ = false;
  }
  return exit;
}

ws::Disposition RecorderVcpu::handle_exit(const ws::Exit& exit) {
  const ws::Disposition disposition = inner().handle_exit(exit);
  Begin(RecordedOp::kHandleExit).answer =
      static_cast<std::uint8_t>(disposition);
  Record();
  return disposition;
}

bool RecorderVcpu::interrupt_allowed() {
  const bool allowed = inner().interrupt_allowed();
  Begin(RecordedOp::kInterruptAllowed).answer = allowed ? 1 : 0;
  Record();
  return allowed;
}

void RecorderVcpu::RecordInjection(const ws::Event& injected,
                                   ws::InjectResult result) {
  RecordedEvent& event = Begin(RecordedOp::kInject);
  event.event = injected;
  event.answer = static_cast<std::uint8_t>(result);
  event.error_number =
      result == ws::InjectResult::kError ? inner().last_error() : 0;
  Record();
}

ws::InjectResult RecorderVcpu::inject_irq(std::uint8_t vector) {
  const ws::InjectResult result = inner().inject_irq(vector);
  RecordInjection({.kind = ws::EventKind::kIrq,
                   .vector = vector,
                   .has_error_code = false,
                   .error_code = 0},
                  result);
  return result;
}

ws::InjectResult RecorderVcpu::inject_nmi() {
  const ws::InjectResult result = inner().inject_nmi();
  RecordInjection({.kind = ws::EventKind::kNmi,
                   .vector = 2,
                   .has_error_code = false,
                   .error_code = 0},
                  result);
  return result;
}

ws::InjectResult RecorderVcpu::inject_exception(const ws::Event& event) {
  const ws::InjectResult result = inner().inject_exception(event);
  RecordInjection(event, result);
  return result;
}

void RecorderVcpu::request_irq_window(bool wanted) {
  inner().request_irq_window(wanted);
  RecordedEvent& event = Begin(RecordedOp::kWindow);
  event.which = 0;
  event.answer = wanted ? 1 : 0;
  Record();
}

void RecorderVcpu::request_nmi_window(bool wanted) {
  inner().request_nmi_window(wanted);
  RecordedEvent& event = Begin(RecordedOp::kWindow);
  event.which = 1;
  event.answer = wanted ? 1 : 0;
  Record();
}

bool RecorderVcpu::cancel_injection(ws::Event* cancelled) {
  const bool was_there = inner().cancel_injection(cancelled);
  RecordedEvent& event = Begin(RecordedOp::kCancel);
  event.answer = was_there ? 1 : 0;
  if (was_there) event.event = *cancelled;
  Record();
  return was_there;
}

ws::Result RecorderVcpu::fetch_registers(RegisterSet groups) {
  RecordGiven();
  const ws::Result result = inner().fetch_registers(groups);
  RecordedEvent& event = Begin(RecordedOp::kFetch);
  event.groups = groups;
  NoteRegisters(event);
  event.answer = static_cast<std::uint8_t>(result);
  event.error_number = result == ws::Result::kError ? inner().last_error() : 0;
  Record();
  if (result == ws::Result::kOk) RecordCached(groups);
  return result;
}

ws::Result RecorderVcpu::commit_registers() {
  RecordGiven();
  RecordDirty();
  const ws::Result result = inner().commit_registers();
  RecordedEvent& event = Begin(RecordedOp::kCommit);
  NoteRegisters(event);
  event.answer = static_cast<std::uint8_t>(result);
  event.error_number = result == ws::Result::kError ? inner().last_error() : 0;
  Record();
  return result;
}

ws::OptionalValue RecorderVcpu::exit_detail(ws::ExitDetail detail) {
  const ws::OptionalValue value = inner().exit_detail(detail);
  RecordedEvent& event = Begin(RecordedOp::kDetail);
  event.which = static_cast<std::uint8_t>(detail);
  event.answer = value.known ? 1 : 0;
  event.value = value.known ? value.value : 0;
  Record();
  return value;
}

RecorderVm::RecorderVm(ws::VmOps& inner, RecordingFile& file)
    : ForwardingVm(inner) {
  const std::uint32_t vm =
      file.AddVm({.memory_bytes = inner.memory().size,
                  .vcpus = inner.vcpu_count(),
                  .capabilities = ws::RecordedCapabilities(inner)});
  for (std::uint32_t i = 0; i < inner.vcpu_count(); ++i) {
    AddVcpu(std::make_unique<RecorderVcpu>(inner.vcpu(i), file, vm, i));
  }
}

}  // namespace recorder
