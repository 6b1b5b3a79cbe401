#include "backends/scripted/scripted_vcpu.h"

#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace worldswitch {
namespace {

using Kind = ScriptedStep::Kind;

constexpr std::uint64_t kRflagsReserved = 2;  // bit 1 is always set
constexpr std::uint64_t kRflagsIf = 1 << 9;

bool IsMsrAccess(ExitReason reason) {
  return reason == ExitReason::kRdmsr || reason == ExitReason::kWrmsr;
}

// Whether the exit leaves an instruction half done, with data of the vCPU's.
bool IsToComplete(const ScriptedStep& step) {
  if (step.is_borrowed) return false;
  switch (step.exit.reason) {
    case ExitReason::kIo:
    case ExitReason::kMmio:
    case ExitReason::kHypercall:
      return true;
    default:
      return IsMsrAccess(step.exit.reason);
  }
}

std::string Hex(const std::vector<std::uint8_t>& data) {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(data.data()), data.size()));
}

}  // namespace

// Counted, so that a handle may outlive the vCPU (KICK.4).
class ScriptedVcpu::Target final : public KickTarget {
 public:
  void Ref() override { users_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() override {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void Kick() override {
    is_kicked_.store(true, std::memory_order_release);
    is_kicked_.notify_all();
  }

  // True: kicked since the last call (KICK.3).
  bool Take() { return is_kicked_.exchange(false, std::memory_order_acq_rel); }
  void Wait() { is_kicked_.wait(false, std::memory_order_acquire); }

 private:
  std::atomic<std::uint32_t> users_ = 1;
  std::atomic<bool> is_kicked_ = false;
};

ScriptedVcpu::ScriptedVcpu(const Script& script)
    : steps_(script.steps()), target_(new Target) {
  general_.rflags = kRflagsReserved;
  playbacks_.reserve(steps_.size());
  for (const ScriptedStep& step : steps_) {
    playbacks_.push_back({.data = step.data});
  }
  deliveries_.reserve(kLogSize);
  mismatches_.reserve(kLogSize);
  ApplyInitialState();
}

ScriptedVcpu::~ScriptedVcpu() { target_->Unref(); }

void ScriptedVcpu::ApplyInitialState() {
  while (next_ < steps_.size() && steps_[next_].kind != Kind::kExit &&
         steps_[next_].kind != Kind::kSpin) {
    Apply(steps_[next_++]);
  }
}

void ScriptedVcpu::Apply(const ScriptedStep& change) {
  switch (change.kind) {
    case Kind::kExit:
    case Kind::kSpin:
      break;
    case Kind::kInterrupts:
      general_.rflags = change.value != 0 ? general_.rflags | kRflagsIf
                                          : general_.rflags & ~kRflagsIf;
      break;
    case Kind::kShadow:
      shadow_ = change.value != 0;
      break;
    case Kind::kNmis:
      accepts_nmis_ = change.value != 0;
      break;
    case Kind::kInjection:
      injection_ = change.injection;
      injection_error_ = change.error_number;
      break;
    case Kind::kCommit:
      commit_error_ = change.error_number;
      break;
    case Kind::kRegister:
      general_.*change.gpr = change.value;
      break;
  }
}

bool ScriptedVcpu::interrupt_flag() const {
  return (general_.rflags & kRflagsIf) != 0;
}

Exit ScriptedVcpu::run() {
  Complete();
  last_ = kNoStep;
  if (registers_.dirty != kNoRegisters && commit_registers() != Result::kOk) {
    return Leave(MakeExit(ExitReason::kError, 0, last_error_));
  }
  registers_.cached = kNoRegisters;
  if (target_->Take()) {
    return Leave(MakeExit(ExitReason::kInterrupted, 0, EINTR));
  }

  const bool enters = WillEnter();
  if (enters) ++entries_;
  const bool is_on_its_way = enters && has_event_;
  if (is_on_its_way) has_event_ = false;
  for (;;) {
    Exit exit;
    if (enters && TakeWindow(&exit)) {
      if (is_on_its_way) RecordDelivery();
      return Leave(exit);
    }
    if (next_ == steps_.size()) {
      if (is_on_its_way) RecordDelivery();
      last_error_ = ENODATA;
      return Leave(MakeExit(ExitReason::kError, kEndOfScript, ENODATA));
    }
    const ScriptedStep& step = steps_[next_];
    if (step.kind == Kind::kExit) {
      has_undelivered_ = is_on_its_way && step.is_undelivered;
      if (is_on_its_way && !has_undelivered_) RecordDelivery();
      Exit played = PlayExit(next_);
      if (has_undelivered_) played.for_backend = true;
      return Leave(played);
    }
    ++next_;
    if (step.kind == Kind::kSpin) {
      if (is_on_its_way) RecordDelivery();
      target_->Wait();
      target_->Take();
      return Leave(MakeExit(ExitReason::kInterrupted, 0, EINTR));
    }
    Apply(step);
  }
}

bool ScriptedVcpu::WillEnter() const {
  for (std::size_t index = next_; index < steps_.size(); ++index) {
    const ScriptedStep& step = steps_[index];
    if (step.kind == Kind::kSpin) return true;
    if (step.kind == Kind::kExit) return !IsWithoutEntry(step.exit.reason);
  }
  return next_ < steps_.size();
}

bool ScriptedVcpu::TakeWindow(Exit* exit) {
  if (nmi_window_wanted_ && accepts_nmis_ && !shadow_) {
    nmi_window_wanted_ = false;
    *exit = BlankExit(ExitReason::kNmiWindow);
    return true;
  }
  if (irq_window_wanted_ && interrupt_flag() && !shadow_) {
    irq_window_wanted_ = false;
    *exit = BlankExit(ExitReason::kIrqWindow);
    return true;
  }
  return false;
}

Exit ScriptedVcpu::PlayExit(std::size_t index) {
  const ScriptedStep& step = steps_[index];
  Playback& playback = playbacks_[index];
  if (++playback.count == step.times) ++next_;
  last_ = index;
  exit_rip_ = general_.rip;
  Exit exit = step.exit;
  if (IsToComplete(step)) {
    to_complete_ = index;
    LendData(step, playback, &exit);
  } else {
    general_.rip += step.length;
    if (exit.reason == ExitReason::kError) {
      last_error_ = exit.error.error_number;
    }
  }
  return exit;
}

void ScriptedVcpu::LendData(const ScriptedStep& step, Playback& playback,
                            Exit* exit) {
  playback.data = step.data;  // of the same size: no allocation
  switch (step.exit.reason) {
    case ExitReason::kIo:
      exit->io.data = playback.data.data();
      break;
    case ExitReason::kMmio:
      exit->mmio.data = playback.data.data();
      break;
    case ExitReason::kHypercall:
      word_ = 0;
      exit->hypercall.arguments =
          step.arguments.empty() ? nullptr : step.arguments.data();
      exit->hypercall.argument_count =
          static_cast<std::uint32_t>(step.arguments.size());
      exit->hypercall.result = &word_;
      break;
    default:  // RDMSR, WRMSR
      std::memcpy(&word_, step.data.data(), sizeof(word_));
      inject_gp_ = 0;
      exit->msr.data = &word_;
      exit->msr.inject_gp = &inject_gp_;
      break;
  }
}

void ScriptedVcpu::RecordDelivery() {
  ++delivery_count_;
  if (deliveries_.size() < kLogSize) {
    deliveries_.push_back({.entry = entries_, .event = event_});
  }
}

void ScriptedVcpu::Complete() {
  if (to_complete_ == kNoStep) return;
  const std::size_t index = std::exchange(to_complete_, kNoStep);
  const ScriptedStep& step = steps_[index];
  Playback& playback = playbacks_[index];
  const bool is_msr = IsMsrAccess(step.exit.reason);
  if (is_msr || step.exit.reason == ExitReason::kHypercall) {
    std::memcpy(playback.data.data(), &word_, sizeof(word_));
  }
  playback.raised_gp = is_msr && inject_gp_ != 0;
  const bool is_expected =
      step.expects_gp ? playback.raised_gp
                      : step.expect.empty() || (!playback.raised_gp &&
                                                step.expect == playback.data);
  if (!is_expected) {
    ++mismatch_count_;
    if (mismatches_.size() < kLogSize) {
      mismatches_.push_back({.entry = entries_, .step = index});
    }
  }
  if (!playback.raised_gp) CompleteRegisters(step, playback);
}

void ScriptedVcpu::CompleteRegisters(const ScriptedStep& step,
                                     const Playback& playback) {
  switch (step.exit.reason) {
    case ExitReason::kIo:
      // INS goes to memory. A 32-bit result clears the upper half of RAX, a
      // smaller one leaves it (SDM 1, "General-Purpose Registers in 64-Bit
      // Mode").
      if (step.exit.io.is_write || step.exit.io.count != 1) break;
      if (step.exit.io.size == 4) general_.rax = 0;
      std::memcpy(&general_.rax, playback.data.data(), step.exit.io.size);
      break;
    case ExitReason::kRdmsr:
      general_.rax = word_ & 0xffff'ffff;
      general_.rdx = word_ >> 32;
      break;
    case ExitReason::kHypercall:
      general_.rax = word_;
      break;
    default:
      break;
  }
  general_.rip += step.length;
}

Exit ScriptedVcpu::Leave(const Exit& exit) {
  if (to_complete_ == kNoStep && registers_.wanted != kNoRegisters) {
    fetch_registers(registers_.wanted);
  }
  return exit;
}

Disposition ScriptedVcpu::handle_exit(const Exit& /*exit*/) {
  if (has_undelivered_) {
    has_undelivered_ = false;
    has_event_ = true;
  }
  return Disposition::kToCaller;
}

bool ScriptedVcpu::interrupt_allowed() {
  return interrupt_flag() && !shadow_ && !has_event_ && !has_undelivered_ &&
         injection_ == InjectResult::kOk;
}

InjectResult ScriptedVcpu::Accept(const Event& event, bool is_blocked) {
  if (injection_ != InjectResult::kOk) {
    if (injection_ == InjectResult::kError) last_error_ = injection_error_;
    return injection_;
  }
  if (has_event_ || has_undelivered_) return InjectResult::kBusy;
  if (is_blocked) return InjectResult::kBlocked;
  event_ = event;
  has_event_ = true;
  return InjectResult::kOk;
}

InjectResult ScriptedVcpu::inject_irq(std::uint8_t vector) {
  if (vector < 16) return InjectResult::kInvalid;
  return Accept({.kind = EventKind::kIrq, .vector = vector},
                !interrupt_flag() || shadow_);
}

InjectResult ScriptedVcpu::inject_nmi() {
  return Accept({.kind = EventKind::kNmi, .vector = 2},
                !accepts_nmis_ || shadow_);
}

InjectResult ScriptedVcpu::inject_exception(const Event& event) {
  if (event.kind != EventKind::kException || event.vector > 31 ||
      event.vector == 2) {
    return InjectResult::kInvalid;
  }
  return Accept(event, false);
}

void ScriptedVcpu::request_irq_window(bool wanted) {
  if (wanted && !irq_window_wanted_) ++irq_window_requests_;
  irq_window_wanted_ = wanted;
}

void ScriptedVcpu::request_nmi_window(bool wanted) {
  if (wanted && !nmi_window_wanted_) ++nmi_window_requests_;
  nmi_window_wanted_ = wanted;
}

bool ScriptedVcpu::cancel_injection(Event* event) {
  if (!has_event_ && !has_undelivered_) return false;
  has_event_ = false;
  has_undelivered_ = false;
  *event = event_;
  return true;
}

Result ScriptedVcpu::fetch_registers(RegisterSet groups) {
  Complete();
  // What is cached may be dirty: the caller's values stay.
  const int missing = groups & ~registers_.cached;
  if ((missing & kGeneralRegisters) != 0) registers_.general = general_;
  if ((missing & kSpecialRegisters) != 0) registers_.special = special_;
  registers_.cached |= groups;
  return Result::kOk;
}

Result ScriptedVcpu::commit_registers() {
  const RegisterSet dirty = std::exchange(registers_.dirty, kNoRegisters);
  if (dirty == kNoRegisters) return Result::kOk;
  const bool is_cached = (dirty & ~registers_.cached) == 0;
  const int error = is_cached ? commit_error_ : EINVAL;
  if (error != 0) {
    registers_.cached = static_cast<RegisterSet>(registers_.cached & ~dirty);
    last_error_ = error;
    return Result::kError;
  }
  if ((dirty & kGeneralRegisters) != 0) general_ = registers_.general;
  if ((dirty & kSpecialRegisters) != 0) special_ = registers_.special;
  ++commits_;
  return Result::kOk;
}

OptionalValue ScriptedVcpu::exit_detail(ExitDetail detail) {
  const auto known = [](std::uint64_t value) {
    return OptionalValue{.known = true, .value = value};
  };
  switch (detail) {
    case ExitDetail::kRflags:
      return known(general_.rflags);
    case ExitDetail::kInterruptFlag:
      return known(interrupt_flag() ? 1 : 0);
    case ExitDetail::kInterruptShadow:
      return known(shadow_ ? 1 : 0);
    default:
      break;
  }
  // The rest is of an instruction that exited.
  if (last_ == kNoStep) return {};
  const ScriptedStep& step = steps_[last_];
  switch (detail) {
    case ExitDetail::kRip:
      return known(exit_rip_);
    case ExitDetail::kInstructionLength:
      return step.length == 0 ? OptionalValue{} : known(step.length);
    case ExitDetail::kGuestPhysicalAddress:
      if (step.exit.reason == ExitReason::kMmio) {
        return known(step.exit.mmio.gpa);
      }
      return step.exit.reason == ExitReason::kPageFault
                 ? known(step.exit.page_fault.gpa)
                 : OptionalValue{};
    case ExitDetail::kVmxQualification:
      return step.qualification;
    case ExitDetail::kSvmInfo1:
      return step.info1;
    case ExitDetail::kSvmInfo2:
      return step.info2;
    default:
      return {};
  }
}

KickHandle ScriptedVcpu::kick_handle() {
  target_->Ref();
  return KickHandle(target_);
}

absl::Status ScriptedVcpu::Verify() const {
  const auto where = [this](std::size_t index) {
    const int line = steps_[index].line;
    return line != 0 ? absl::StrCat("line ", line)
                     : absl::StrCat("step ", index);
  };
  if (!mismatches_.empty()) {
    const std::size_t index = mismatches_.front().step;
    const ScriptedStep& step = steps_[index];
    const std::string expected = step.expects_gp ? "#GP" : Hex(step.expect);
    const std::string got =
        playbacks_[index].raised_gp ? "#GP" : Hex(playbacks_[index].data);
    return absl::FailedPreconditionError(
        absl::StrCat(where(index), " (", ExitReasonName(step.exit.reason),
                     "): expected ", expected, " of the caller, who gave ", got,
                     "; mismatches in all: ", mismatch_count_));
  }
  if (to_complete_ != kNoStep) {
    return absl::FailedPreconditionError(absl::StrCat(
        where(to_complete_), " was never completed: run the vCPU once more"));
  }
  if (next_ < steps_.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("not played to its end: ", where(next_), " is next"));
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
