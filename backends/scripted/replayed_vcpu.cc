#include "backends/scripted/replayed_vcpu.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/scripted/scripted_vcpu.h"

namespace worldswitch {
namespace {

std::string Data(const RecordedEvent& event) {
  return absl::StrCat(
      event.answer != 0 ? "#GP" : "",
      absl::BytesToHexString(absl::string_view(
          reinterpret_cast<const char*>(event.bytes), event.byte_count)));
}

std::string Injection(const Event& event) {
  switch (event.kind) {
    case EventKind::kIrq:
      return absl::StrFormat("inject_irq(%#x)", event.vector);
    case EventKind::kNmi:
      return "inject_nmi()";
    case EventKind::kException:
      break;
  }
  return absl::StrFormat(
      "inject_exception(%d%s)", event.vector,
      event.has_error_code ? absl::StrFormat(", %#x", event.error_code) : "");
}

std::string WindowCall(std::uint8_t which, bool wanted) {
  return absl::StrCat(
      which == 0 ? "request_irq_window(" : "request_nmi_window(",
      wanted ? "true" : "false", ")");
}

// What the recording has, as the call that made it.
std::string Recorded(const RecordedEvent& event) {
  switch (event.op) {
    case RecordedOp::kEnd:
      return "no more events";
    case RecordedOp::kGiven:
      return absl::StrCat("the data ", Data(event), " for the exit before");
    case RecordedOp::kDirty:
      return absl::StrCat("changed registers of group ", event.groups);
    case RecordedOp::kCached:
      return absl::StrCat("registers of group ", event.groups);
    case RecordedOp::kRun:
      return absl::StrCat("run() with wanted ", event.groups, ", exit ",
                          ExitReasonName(event.exit.reason));
    case RecordedOp::kHandleExit:
      return "handle_exit()";
    case RecordedOp::kInterruptAllowed:
      return "interrupt_allowed()";
    case RecordedOp::kInject:
      return Injection(event.event);
    case RecordedOp::kWindow:
      return WindowCall(event.which, event.answer != 0);
    case RecordedOp::kCancel:
      return "cancel_injection()";
    case RecordedOp::kFetch:
      return absl::StrCat("fetch_registers(", event.groups, ")");
    case RecordedOp::kCommit:
      return "commit_registers()";
    case RecordedOp::kDetail:
      return absl::StrCat("exit_detail(", event.which, ")");
    case RecordedOp::kCount:
      break;
  }
  return "an event that there is not";
}

bool Always() { return true; }

bool IsSameGroup(RegisterFile& a, RegisterFile& b, RegisterSet group) {
  std::uint64_t values[kRecordedWords] = {};
  std::size_t count = 0;
  RegisterWords::Each(a, group, [&](auto& value) {
    values[count++] = static_cast<std::uint64_t>(value);
  });
  count = 0;
  bool is_same = true;
  RegisterWords::Each(b, group, [&](auto& value) {
    is_same = is_same && values[count++] == static_cast<std::uint64_t>(value);
  });
  return is_same;
}

bool IsSame(const Event& a, const Event& b) {
  return a.kind == b.kind && a.vector == b.vector &&
         a.has_error_code == b.has_error_code &&
         (!a.has_error_code || a.error_code == b.error_code);
}

}  // namespace

ReplayedVcpu::ReplayedVcpu(const Recording::VcpuEvents& recording)
    : reader_(recording.bytes.data(), recording.bytes.size()) {
  Advance();
}

void ReplayedVcpu::Advance() {
  if (next_.op != RecordedOp::kEnd) ++played_;
  next_.op = RecordedOp::kEnd;
  // Read through once already: every event is one.
  if (!reader_.is_at_end()) TransferEvent(reader_, next_);
}

void ReplayedVcpu::Diverge(const std::string& called) {
  divergence_ =
      absl::StrCat("the replay diverged at event ", played_, ": there was ",
                   called, " where the recording has ", Recorded(next_));
  last_error_ = EILSEQ;
}

template <typename IsSame, typename Called>
bool ReplayedVcpu::Expect(RecordedOp op, const IsSame& is_same,
                          const Called& called) {
  if (!divergence_.empty()) return false;
  // That the recording ends here is not the caller's fault.
  if (next_.op == RecordedOp::kEnd) return false;
  if (next_.op == op && is_same()) return true;
  Diverge(called());
  return false;
}

bool ReplayedVcpu::CheckGiven() {
  if (!wants_data_) return true;
  wants_data_ = false;
  PackGiven(last_, &given_);
  const auto is_same = [this] {
    return next_.answer == given_.answer &&
           next_.byte_count == given_.byte_count &&
           std::memcmp(next_.bytes, given_.bytes, given_.byte_count) == 0;
  };
  if (!Expect(RecordedOp::kGiven, is_same, [this] { return Recorded(given_); }))
    return false;
  Advance();
  return true;
}

bool ReplayedVcpu::CheckDirty() {
  for (const RegisterSet group : {kGeneralRegisters, kSpecialRegisters}) {
    if ((registers_.dirty & group) == 0) continue;
    const auto is_same = [this, group] {
      RegisterFile recorded = {};
      if (next_.groups != group || !words_.Unpack(next_, &recorded)) {
        return false;
      }
      return IsSameGroup(recorded, registers_, group);
    };
    const auto called = [group] {
      return absl::StrCat("a change of registers of group ", group,
                          ", or to other values,");
    };
    if (!Expect(RecordedOp::kDirty, is_same, called)) return false;
    Advance();
  }
  return true;
}

void ReplayedVcpu::TakeCached() {
  while (next_.op == RecordedOp::kCached) {
    words_.Unpack(next_, &registers_);
    Advance();
  }
}

Exit ReplayedVcpu::EndOfReplay() {
  if (!divergence_.empty()) {
    return MakeExit(ExitReason::kError, kDivergedFromRecording, EILSEQ);
  }
  last_error_ = ENODATA;
  return MakeExit(ExitReason::kError, kEndOfScript, ENODATA);
}

Exit ReplayedVcpu::run() {
  const auto is_same = [this] { return next_.groups == registers_.wanted; };
  const auto called = [this] {
    return absl::StrCat("run() with wanted ", registers_.wanted);
  };
  if (!CheckGiven() || !CheckDirty() ||
      !Expect(RecordedOp::kRun, is_same, called)) {
    return EndOfReplay();
  }
  Exit exit;
  UnpackExit(next_, &lent_, &exit);
  registers_.cached = next_.cached;
  registers_.dirty = next_.dirty;
  if (exit.reason == ExitReason::kError) last_error_ = exit.error.error_number;
  wants_data_ = WantsData(exit);
  last_ = exit;
  Advance();
  TakeCached();
  return exit;
}

Disposition ReplayedVcpu::handle_exit(const Exit& /*exit*/) {
  if (!Expect(RecordedOp::kHandleExit, Always, [] { return "handle_exit()"; }))
    return Disposition::kToCaller;
  const auto disposition = static_cast<Disposition>(next_.answer);
  Advance();
  return disposition;
}

bool ReplayedVcpu::interrupt_allowed() {
  if (!Expect(RecordedOp::kInterruptAllowed, Always,
              [] { return "interrupt_allowed()"; })) {
    return false;
  }
  const bool allowed = next_.answer != 0;
  Advance();
  return allowed;
}

InjectResult ReplayedVcpu::Inject(const Event& event) {
  if (!Expect(
          RecordedOp::kInject, [&] { return IsSame(next_.event, event); },
          [&] { return Injection(event); })) {
    return InjectResult::kError;
  }
  const auto result = static_cast<InjectResult>(next_.answer);
  if (result == InjectResult::kError) last_error_ = next_.error_number;
  Advance();
  return result;
}

InjectResult ReplayedVcpu::inject_irq(std::uint8_t vector) {
  return Inject({.kind = EventKind::kIrq, .vector = vector});
}

InjectResult ReplayedVcpu::inject_nmi() {
  return Inject({.kind = EventKind::kNmi, .vector = 2});
}

InjectResult ReplayedVcpu::inject_exception(const Event& event) {
  return Inject(event);
}

void ReplayedVcpu::Window(std::uint8_t which, bool wanted) {
  const auto is_same = [&] {
    return next_.which == which && (next_.answer != 0) == wanted;
  };
  if (Expect(RecordedOp::kWindow, is_same,
             [&] { return WindowCall(which, wanted); })) {
    Advance();
  }
}

bool ReplayedVcpu::cancel_injection(Event* event) {
  if (!Expect(RecordedOp::kCancel, Always,
              [] { return "cancel_injection()"; })) {
    return false;
  }
  const bool was_there = next_.answer != 0;
  if (was_there) *event = next_.event;
  Advance();
  return was_there;
}

Result ReplayedVcpu::TakeResult() {
  const auto result = static_cast<Result>(next_.answer);
  if (result == Result::kError) last_error_ = next_.error_number;
  registers_.cached = next_.cached;
  registers_.dirty = next_.dirty;
  Advance();
  return result;
}

Result ReplayedVcpu::fetch_registers(RegisterSet groups) {
  if (!CheckGiven() ||
      !Expect(
          RecordedOp::kFetch, [&] { return next_.groups == groups; },
          [&] { return absl::StrCat("fetch_registers(", groups, ")"); })) {
    return Result::kError;
  }
  const Result result = TakeResult();
  TakeCached();
  return result;
}

Result ReplayedVcpu::commit_registers() {
  if (!CheckGiven() || !CheckDirty() ||
      !Expect(RecordedOp::kCommit, Always,
              [] { return "commit_registers()"; })) {
    return Result::kError;
  }
  return TakeResult();
}

OptionalValue ReplayedVcpu::exit_detail(ExitDetail detail) {
  const auto which = static_cast<std::uint8_t>(detail);
  if (!Expect(
          RecordedOp::kDetail, [&] { return next_.which == which; },
          [&] { return absl::StrCat("exit_detail(", which, ")"); })) {
    return {};
  }
  const OptionalValue value = {.known = next_.answer != 0,
                               .value = next_.value};
  Advance();
  return value;
}

}  // namespace worldswitch
