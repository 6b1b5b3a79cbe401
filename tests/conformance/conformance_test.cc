// Holds every backend of this program to every clause, in every mode: one test
// each, named like KvmSync/Conformance.CMP_2_io_real. A backend that is not
// usable here has a single test instead, which skips with what its probe says.

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "backends/kvm/kvm_backend.h"
#include "backends/scripted/scripted_backend.h"
#include "backends/svm_amd/svm_backend.h"
#include "backends/vmx_intel/vmx_backend.h"
#include "conformance/clauses.h"
#include "conformance/hosted_clause_host.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

// One way in which a backend is held to the clauses.
struct Instance {
  std::string name;
  BackendFactory factory;
  // Makes the backend; by default factory.create without parameters.
  std::function<absl::StatusOr<std::unique_ptr<Backend>>()> create;
  KnobSettings knobs;
  HostedClauseHost::MakeUnknownExit unknown_exit;
  // The clauses that it can show anything about; empty: all.
  std::vector<std::string> only;
};

// Any backend that runs on KVM.
Instance KvmInstance(const std::string& name, BackendFactory of,
                     const std::string& registers) {
  Instance instance;
  instance.name = name;
  instance.factory = std::move(of);
  instance.create = [factory = instance.factory] {
    return factory.create(BackendSpec{factory.name, {}});
  };
  instance.knobs["registers"] = registers;
  return instance;
}

// A script is no guest, so nearly all clauses are beyond it. RUN.6 is beyond
// everything else.
Instance ScriptedInstance() {
  Instance instance;
  instance.name = "Scripted";
  instance.factory = ScriptedBackendFactory();
  instance.factory.probe = [] { return absl::OkStatus(); };
  instance.create = []() -> absl::StatusOr<std::unique_ptr<Backend>> {
    return MakeScriptedBackend(Script());
  };
  instance.unknown_exit = [](std::uint64_t raw) {
    return MakeScriptedBackend(Script().Unknown(raw).Hlt())->CreateVm({});
  };
  instance.only = {"RUN.6"};
  return instance;
}

class ConformanceTest : public testing::Test {
 public:
  ConformanceTest(const Instance& instance, const Clause& clause,
                  GuestMode mode)
      : instance_(instance), clause_(clause), mode_(mode) {}

  void TestBody() override {
    absl::StatusOr<std::unique_ptr<Backend>> backend = instance_.create();
    ASSERT_TRUE(backend.ok()) << backend.status();
    for (const auto& [name, value] : instance_.knobs) {
      const Knob* knob = (*backend)->knobs().Find(name);
      ASSERT_NE(knob, nullptr) << name;
      if (!knob->not_settable.empty() && knob->current_value != value) {
        GTEST_SKIP() << name << "=" << value << ": " << knob->not_settable;
      }
    }
    HostedClauseHost host(**backend, KnobsToSet(**backend),
                          instance_.unknown_exit);
    const ClauseOutcome outcome = RunClause(clause_, host, mode_);
    if (outcome.verdict == ClauseVerdict::kSkipped) {
      GTEST_SKIP() << outcome.text.c_str();
    }
    EXPECT_EQ(outcome.verdict, ClauseVerdict::kPassed)
        << clause_.id << " (" << clause_.summary << "), mode "
        << GuestModeName(mode_) << ", engine " << (*backend)->engine() << ": "
        << outcome.text.c_str();
  }

 private:
  // Without those that can have one value only.
  KnobSettings KnobsToSet(const Backend& backend) const {
    KnobSettings settings;
    for (const auto& [name, value] : instance_.knobs) {
      if (backend.knobs().Find(name)->not_settable.empty()) {
        settings[name] = value;
      }
    }
    return settings;
  }

  const Instance& instance_;
  const Clause& clause_;
  const GuestMode mode_;
};

// Stands for every clause of a backend that cannot be used here.
class UnusableTest : public testing::Test {
 public:
  explicit UnusableTest(absl::Status why) : why_(std::move(why)) {}
  void TestBody() override { GTEST_SKIP() << why_; }

 private:
  const absl::Status why_;
};

bool Shows(const Instance& instance, const Clause& clause) {
  if (instance.only.empty()) return true;
  for (const std::string& id : instance.only) {
    if (id == clause.id) return true;
  }
  return false;
}

std::string TestName(const Clause& clause, GuestMode mode) {
  std::string name = absl::StrReplaceAll(clause.id, {{".", "_"}});
  if (clause.part[0] != '\0') absl::StrAppend(&name, "_", clause.part);
  absl::StrAppend(&name, "_", GuestModeName(mode));
  return name;
}

void RegisterAll(const std::vector<Instance>& instances) {
  for (const Instance& instance : instances) {
    if (absl::Status usable = instance.factory.probe(); !usable.ok()) {
      testing::RegisterTest((instance.name + "/Conformance").c_str(),
                            "EveryClause", nullptr, nullptr, __FILE__, __LINE__,
                            [usable] { return new UnusableTest(usable); });
      continue;
    }
    for (const Clause& clause : AllClauses()) {
      for (int i = 0; i < kGuestModeCount; ++i) {
        const auto mode = static_cast<GuestMode>(i);
        if ((clause.modes & ModeBit(mode)) == 0 || !Shows(instance, clause)) {
          continue;
        }
        testing::RegisterTest(
            (instance.name + "/Conformance").c_str(),
            TestName(clause, mode).c_str(), nullptr, nullptr, __FILE__,
            __LINE__, [&instance, &clause, mode]() -> ConformanceTest* {
              return new ConformanceTest(instance, clause, mode);
            });
      }
    }
  }
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::vector<worldswitch::Instance> instances = {
      worldswitch::KvmInstance("KvmSync", worldswitch::KvmBackendFactory(),
                               "sync"),
      worldswitch::KvmInstance("KvmIoctl", worldswitch::KvmBackendFactory(),
                               "ioctl"),
      worldswitch::KvmInstance("VmxSync", worldswitch::VmxBackendFactory(),
                               "sync"),
      worldswitch::KvmInstance("VmxIoctl", worldswitch::VmxBackendFactory(),
                               "ioctl"),
      worldswitch::KvmInstance("SvmSync", worldswitch::SvmBackendFactory(),
                               "sync"),
      worldswitch::KvmInstance("SvmIoctl", worldswitch::SvmBackendFactory(),
                               "ioctl"),
      worldswitch::ScriptedInstance()};
  worldswitch::RegisterAll(instances);
  return RUN_ALL_TESTS();
}
