// A vCPU without a machine: plays a script of exits and writes down what the
// caller did. For unit tests, and for people who try out an exit handler.
//
// It keeps the numbered clauses of core/vcpu_ops.h as far as a script can, and
// allocates nothing once it is made.

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_VCPU_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_VCPU_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "backends/scripted/script.h"
#include "core/exit.h"
#include "core/kick.h"
#include "core/registers.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

// Every run past the end of the script is a kError with this raw code and errno
// ENODATA: the loop returns, and no guest and no script can cause it.
inline constexpr std::uint64_t kEndOfScript = 0x454e'444f'4653'4352;

class ScriptedVcpu final : public VcpuOps {
 public:
  // An event and the entry it went in with, counting from 1.
  struct Delivery {
    std::uint64_t entry;
    Event event;
  };
  // The caller gave other data than the script expects.
  struct Mismatch {
    std::uint64_t entry;
    std::size_t step;  // index into script.steps()
  };
  // Of each kind, the first so many are written down; all are counted.
  static constexpr std::size_t kLogSize = 1024;

  // A script whose status is not ok is taken as far as it goes.
  explicit ScriptedVcpu(const Script& script);
  ScriptedVcpu(const ScriptedVcpu&) = delete;
  ScriptedVcpu& operator=(const ScriptedVcpu&) = delete;
  ~ScriptedVcpu();

  // The ops. handle_exit puts back the event of an exit marked undelivered.
  Exit run() override;
  Disposition handle_exit(const Exit& exit) override;
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override;
  bool cancel_injection(Event* event) override;
  RegisterFile& registers() override { return registers_; }
  // Never fails.
  Result fetch_registers(RegisterSet groups) override;
  // kError: EINVAL for a dirty group that is not cached, or as the script says.
  // The refused groups are then neither cached nor dirty.
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  KickHandle kick_handle() override;
  int last_error() const override { return last_error_; }

  // What the caller did. For the vCPU's thread, between two runs.
  std::uint64_t entries() const { return entries_; }
  const std::vector<Delivery>& deliveries() const { return deliveries_; }
  std::uint64_t delivery_count() const { return delivery_count_; }
  const std::vector<Mismatch>& mismatches() const { return mismatches_; }
  std::uint64_t mismatch_count() const { return mismatch_count_; }
  // The data of a step, as the caller left it when it was last completed.
  std::span<const std::uint8_t> given(std::size_t step) const {
    return playbacks_[step].data;
  }
  // Whether the caller had #GP raised for the MSR access of a step.
  bool raised_gp(std::size_t step) const { return playbacks_[step].raised_gp; }
  bool irq_window_wanted() const { return irq_window_wanted_; }
  bool nmi_window_wanted() const { return nmi_window_wanted_; }
  // Times that each window was asked for, and not there already.
  std::uint64_t irq_window_requests() const { return irq_window_requests_; }
  std::uint64_t nmi_window_requests() const { return nmi_window_requests_; }
  // Times that dirty registers reached the guest.
  std::uint64_t commits() const { return commits_; }
  // What the guest has now.
  const GeneralRegisters& guest_general() const { return general_; }
  const SpecialRegisters& guest_special() const { return special_; }
  // Every step was played, and the last one completed.
  bool is_at_end() const {
    return next_ == steps_.size() && to_complete_ == kNoStep;
  }
  // Ok: played to the end without a mismatch. Otherwise the first trouble, with
  // the line of the script.
  absl::Status Verify() const;

 private:
  class Target;
  static constexpr std::size_t kNoStep = ~std::size_t{0};

  // What changes of a step as it is played.
  struct Playback {
    std::vector<std::uint8_t> data;
    std::uint32_t count = 0;
    bool raised_gp = false;
  };

  void ApplyInitialState();
  void Apply(const ScriptedStep& change);
  // True: the next run enters the guest. False: the script says that the engine
  // does not, or has ended.
  bool WillEnter() const;
  // True: a window that is asked for is open, and *exit is its exit.
  bool TakeWindow(Exit* exit);
  Exit PlayExit(std::size_t index);
  // Where the data of an exit is, and what the caller may change.
  void LendData(const ScriptedStep& step, Playback& playback, Exit* exit);
  void RecordDelivery();
  // Takes what the caller gave to the last exit (CMP.1), once (CMP.3).
  void Complete();
  void CompleteRegisters(const ScriptedStep& step, const Playback& playback);
  // The way out of every run: makes `wanted` groups cached (REG.4).
  Exit Leave(const Exit& exit);
  InjectResult Accept(const Event& event, bool is_blocked);
  bool interrupt_flag() const;

  const std::vector<ScriptedStep> steps_;
  std::vector<Playback> playbacks_;  // of the step of the same index
  std::size_t next_ = 0;             // the step to be played
  std::size_t last_ = kNoStep;       // the exit of the last run, if of a step
  std::size_t to_complete_ = kNoStep;
  std::uint64_t word_ = 0;  // data of an MSR access, result of a hypercall
  std::uint8_t inject_gp_ = 0;

  // The guest and its engine.
  GeneralRegisters general_ = {};
  SpecialRegisters special_ = {};
  std::uint64_t exit_rip_ = 0;
  bool shadow_ = false;
  bool accepts_nmis_ = true;
  InjectResult injection_ = InjectResult::kOk;
  int injection_error_ = 0;
  int commit_error_ = 0;
  bool irq_window_wanted_ = false;
  bool nmi_window_wanted_ = false;
  bool has_event_ = false;        // event_ goes in with the next entry
  bool has_undelivered_ = false;  // event_ waits for handle_exit
  Event event_;
  RegisterFile registers_ = {};
  int last_error_ = 0;
  Target* const target_;

  // What is written down.
  std::uint64_t entries_ = 0;
  std::vector<Delivery> deliveries_;
  std::uint64_t delivery_count_ = 0;
  std::vector<Mismatch> mismatches_;
  std::uint64_t mismatch_count_ = 0;
  std::uint64_t irq_window_requests_ = 0;
  std::uint64_t nmi_window_requests_ = 0;
  std::uint64_t commits_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_SCRIPTED_VCPU_H_
