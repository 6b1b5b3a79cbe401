#include "native/conformance_runner.h"

#include "conformance/clauses.h"
#include "native/activity.h"
#include "native/console.h"
#include "native/log_format.h"
#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

constexpr GuestMode kModes[] = {GuestMode::kReal, GuestMode::kRing0,
                                GuestMode::kRing3};

// One CPU without threads; the guard is its watchdog.
class ImageClauseHost final : public ClauseHost {
 public:
  explicit ImageClauseHost(VmMaker& maker) : maker_(maker) {}

  VmOps* MakeVm(const VmNeeds& needs, const char** why) override {
    return maker_.Make(needs, nullptr, why);
  }
  VmOps* MakeVmOfUnknownExit(std::uint64_t /*raw*/, const char** why) override {
    *why =
        "no guest can make a machine exit in a way its backend does not know; "
        "the scripted backend shows this clause";
    return nullptr;
  }
  // What MakeVm gave was a NativeVm.
  void DestroyVm(VmOps* vm) override {
    maker_.Destroy(static_cast<NativeVm*>(vm));
  }
  void BeginRun(VmOps* vm, std::uint32_t vcpu_index) override {
    handle_ = vm->vcpu(vcpu_index).kick_handle();
    run_guard.Begin(handle_);
  }
  bool EndRun(VmOps* /*vm*/, std::uint32_t /*vcpu_index*/) override {
    const bool too_long = run_guard.End();
    handle_ = KickHandle();
    return too_long;
  }
  bool has_threads() const override { return false; }
  void StartThread(void (*)(void*), void*) override {}
  void JoinThread() override {}
  void Yield() override {}

 private:
  VmMaker& maker_;
  KickHandle handle_;
};

bool Selected(const Clause& clause, const TextList& globs) {
  if (globs.size == 0) return true;
  for (std::size_t i = 0; i < globs.size; ++i) {
    if (GlobMatches(globs.items[i], clause.id)) return true;
  }
  return false;
}

const char* VerdictText(ClauseVerdict verdict) {
  switch (verdict) {
    case ClauseVerdict::kPassed:
      return "passed";
    case ClauseVerdict::kFailed:
      return "failed";
    case ClauseVerdict::kSkipped:
      break;
  }
  return "skipped";
}

void Count(ClauseVerdict verdict, ClauseTotals* totals) {
  switch (verdict) {
    case ClauseVerdict::kPassed:
      ++totals->passed;
      break;
    case ClauseVerdict::kFailed:
      ++totals->failed;
      break;
    case ClauseVerdict::kSkipped:
      ++totals->skipped;
      break;
  }
}

}  // namespace

ClauseTotals RunConformance(VmMaker& maker, const Options& options) {
  ClauseTotals totals;
  ImageClauseHost clause_host(maker);
  for (const Clause& clause : AllClauses()) {
    if (!Selected(clause, options.clauses)) continue;
    for (const GuestMode mode : kModes) {
      if ((clause.modes & ModeBit(mode)) == 0) continue;
      if (options.has_mode && options.mode != mode) continue;
      SetActivity(clause.id, static_cast<std::uint64_t>(mode));
      const ClauseOutcome outcome = RunClause(clause, clause_host, mode);
      Count(outcome.verdict, &totals);
      console.Text(native_log::kClause).Text(" ").Text(clause.id).Text(" ");
      console.Text(clause.part[0] == 0 ? "-" : clause.part).Text(" ");
      console.Text(GuestModeName(mode)).Text(" ");
      console.Text(VerdictText(outcome.verdict)).Text(" ");
      console.Text(outcome.text.c_str()).End();
    }
  }
  console.Decimal(totals.passed).Text(" clauses passed, ");
  console.Decimal(totals.failed).Text(" failed, ");
  console.Decimal(totals.skipped).Text(" skipped").End();
  return totals;
}

}  // namespace worldswitch::native
