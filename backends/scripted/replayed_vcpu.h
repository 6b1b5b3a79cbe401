// A vCPU that answers as another one did: every call of an op must be the one
// that the recording has next, with the same arguments and the same data for
// the exit before, and gets the answer that is recorded.
//
// The first call that is not ends the replay: from then on `run` answers
// kError, nothing is injected, and divergence() tells what was called and what
// the recording has.

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_REPLAYED_VCPU_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_REPLAYED_VCPU_H_

#include <cstdint>
#include <string>

#include "backends/scripted/recording.h"
#include "core/recording_event.h"
#include "core/recording_exit.h"
#include "core/recording_registers.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

// raw of the kError that `run` answers after a divergence; its errno is EILSEQ.
// At the end of the recording it answers as at the end of a script.
inline constexpr std::uint64_t kDivergedFromRecording = 0x4445'5247'4956'4944;

class ReplayedVcpu final : public VcpuOps {
 public:
  // recording outlives it.
  explicit ReplayedVcpu(const Recording::VcpuEvents& recording);
  ReplayedVcpu(const ReplayedVcpu&) = delete;
  ReplayedVcpu& operator=(const ReplayedVcpu&) = delete;

  Exit run() override;
  Disposition handle_exit(const Exit& exit) override;
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override { Window(0, wanted); }
  void request_nmi_window(bool wanted) override { Window(1, wanted); }
  bool cancel_injection(Event* event) override;
  RegisterFile& registers() override { return registers_; }
  Result fetch_registers(RegisterSet groups) override;
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  // Kicks nobody: what kicks did is in the recording.
  KickHandle kick_handle() override { return KickHandle(); }
  int last_error() const override { return last_error_; }

  // "" while every call was the recorded one.
  const std::string& divergence() const { return divergence_; }
  // Events played so far.
  std::uint64_t played() const { return played_; }
  bool is_at_end() const {
    return divergence_.empty() && next_.op == RecordedOp::kEnd;
  }

 private:
  // Decodes the event behind next_ into it.
  void Advance();
  // True: next_ is of that op and `is_same`, which is asked only then; who
  // called takes what it needs from it, then calls Advance. False: the replay
  // is over, or `called` says what to tell of the divergence: a function, so
  // that nothing is put together that nobody reads.
  template <typename IsSame, typename Called>
  bool Expect(RecordedOp op, const IsSame& is_same, const Called& called);
  void Diverge(const std::string& called);
  Exit EndOfReplay();
  // What the caller stored for the last exit, and the registers it changed.
  bool CheckGiven();
  bool CheckDirty();
  // The kCached that follow a kRun or kFetch.
  void TakeCached();
  InjectResult Inject(const Event& event);
  void Window(std::uint8_t which, bool wanted);
  // Of kFetch and kCommit, when its event is next_.
  Result TakeResult();

  EventReader reader_;
  RecordedEvent next_;
  RecordedEvent given_;  // what the caller stored, to compare
  std::uint64_t played_ = 0;
  RegisterFile registers_ = {};
  RegisterWords words_;
  LentData lent_ = {};
  Exit last_ = {};
  bool wants_data_ = false;
  int last_error_ = 0;
  std::string divergence_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_REPLAYED_VCPU_H_
