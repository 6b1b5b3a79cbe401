// Shows that the conformance suite can fail, and that it names the clause that
// is broken: backends that are wrong in one thing, over the real /dev/kvm (and
// over a script for RUN.6, which no machine can be made to show).

#include "tests/conformance/mutants.h"

#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_backend.h"
#include "backends/scripted/scripted_backend.h"
#include "conformance/clauses.h"
#include "conformance/hosted_clause_host.h"
#include "core/host/forwarding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {

void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

namespace {

std::vector<Mutant> AllMutants() {
  std::vector<Mutant> all;
  for (auto* group : {ExitMutants, RegisterMutants, EventMutants, KickMutants,
                      MemoryMutants}) {
    for (Mutant& mutant : group()) all.push_back(std::move(mutant));
  }
  return all;
}

// Puts a mutant around every VM. The watchdog keeps to the VM inside, so that a
// mutant that loses kicks can be ended.
class MutantHost final : public ClauseHost {
 public:
  MutantHost(HostedClauseHost& right, const Mutant& mutant)
      : right_(right), mutant_(mutant) {}

  VmOps* MakeVm(const VmNeeds& needs, const char** why) override {
    return Wrap(right_.MakeVm(needs, why));
  }
  VmOps* MakeVmOfUnknownExit(std::uint64_t raw, const char** why) override {
    return Wrap(right_.MakeVmOfUnknownExit(raw, why));
  }
  void DestroyVm(VmOps* vm) override {
    VmOps* inner = &Inner(vm);
    vms_.erase(vm);
    right_.DestroyVm(inner);
  }
  void BeginRun(VmOps* vm, std::uint32_t vcpu_index) override {
    right_.BeginRun(&Inner(vm), vcpu_index);
  }
  bool EndRun(VmOps* vm, std::uint32_t vcpu_index) override {
    return right_.EndRun(&Inner(vm), vcpu_index);
  }
  bool has_threads() const override { return true; }
  void StartThread(void (*function)(void*), void* argument) override {
    right_.StartThread(function, argument);
  }
  void JoinThread() override { right_.JoinThread(); }
  void Yield() override { right_.Yield(); }

 private:
  VmOps* Wrap(VmOps* right) {
    if (right == nullptr) return nullptr;
    std::unique_ptr<ForwardingVm> vm = mutant_.make(*right);
    VmOps* made = vm.get();
    vms_[made] = std::move(vm);
    return made;
  }
  VmOps& Inner(VmOps* vm) { return vms_.find(vm)->second->inner(); }

  HostedClauseHost& right_;
  const Mutant& mutant_;
  std::map<VmOps*, std::unique_ptr<ForwardingVm>> vms_;
};

class MutantsTest : public testing::TestWithParam<Mutant> {
 protected:
  void SetUp() override {
    const BackendFactory factory = KvmBackendFactory();
    const absl::Status usable = factory.probe();
    if (!usable.ok()) GTEST_SKIP() << usable;
    absl::StatusOr<std::unique_ptr<Backend>> backend =
        factory.create(BackendSpec{factory.name, {}});
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_ = *std::move(backend);
  }

  // The ids of the clauses that fail; `details_` says with what.
  std::set<std::string> FailingClauses(const Mutant& mutant) {
    HostedClauseHost right(*backend_, {}, [](std::uint64_t raw) {
      return MakeScriptedBackend(Script().Unknown(raw).Hlt())->CreateVm({});
    });
    MutantHost host(right, mutant);
    std::set<std::string> failing;
    for (const Clause& clause : AllClauses()) {
      for (const GuestMode mode : {GuestMode::kReal, GuestMode::kRing0}) {
        const ClauseOutcome outcome = RunClause(clause, host, mode);
        if (outcome.verdict != ClauseVerdict::kFailed) continue;
        failing.insert(clause.id);
        absl::StrAppend(&details_, clause.id, " ", clause.part, " ",
                        GuestModeName(mode), ": ", outcome.text.c_str(), "\n");
      }
    }
    return failing;
  }

  std::unique_ptr<Backend> backend_;
  std::string details_;
};

TEST_P(MutantsTest, FailsItsClauseAndNoOther) {
  const Mutant& mutant = GetParam();
  const std::set<std::string> failing = FailingClauses(mutant);
  for (const std::string& id : mutant.breaks) {
    EXPECT_THAT(failing, testing::Contains(id)) << details_;
  }
  if (mutant.breaks_more) return;
  for (const std::string& id : failing) {
    EXPECT_TRUE(mutant.breaks.count(id) + mutant.may_break.count(id) != 0)
        << id << " fails too:\n"
        << details_;
  }
}

INSTANTIATE_TEST_SUITE_P(Mutants, MutantsTest, testing::ValuesIn(AllMutants()),
                         [](const testing::TestParamInfo<Mutant>& info) {
                           return info.param.name;
                         });

// What stands between the suite and the backend does no harm by itself.
TEST_F(MutantsTest, ForwardingAloneBreaksNothing) {
  Mutant none;
  none.make = [](VmOps& right) {
    auto vm = std::make_unique<ForwardingVm>(right);
    for (std::uint32_t i = 0; i < right.vcpu_count(); ++i) {
      vm->AddVcpu(std::make_unique<ForwardingVcpu>(right.vcpu(i)));
    }
    return vm;
  };
  EXPECT_THAT(FailingClauses(none), testing::IsEmpty()) << details_;
}

// A clause that no mutant breaks might as well not be there.
TEST(MutantsListTest, BreaksEveryClauseOnce) {
  std::set<std::string> broken;
  for (const Mutant& mutant : AllMutants()) {
    broken.insert(mutant.breaks.begin(), mutant.breaks.end());
  }
  for (const Clause& clause : AllClauses()) {
    EXPECT_THAT(broken, testing::Contains(std::string(clause.id)));
  }
}

}  // namespace
}  // namespace worldswitch
