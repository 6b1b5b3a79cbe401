// Backends by name: explicit mode is specific, auto mode says what it skipped.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/host/backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  std::string engine() const override { return "none"; }
  std::vector<Fact> facts() const override { return {}; }
  const KnobSet& knobs() const override { return knobs_; }
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(const VmConfig&) override {
    return absl::UnimplementedError("a fake");
  }

 private:
  std::string name_;
  KnobSet knobs_;
};

BackendFactory Fake(const std::string& name,
                    const absl::Status& probed = absl::OkStatus(),
                    const absl::Status& created = absl::OkStatus()) {
  return {.name = name,
          .summary = "fake " + name,
          .parameters = {{.name = "device", .value = "the device to open"},
                         {.name = "mode", .value = "how"}},
          .probe = [probed] { return probed; },
          .create = [created](const BackendSpec& spec)
              -> absl::StatusOr<std::unique_ptr<Backend>> {
            if (!created.ok()) return created;
            return std::make_unique<FakeBackend>(spec.name);
          }};
}

BackendRegistry Registry(std::vector<BackendFactory> factories) {
  BackendRegistry registry;
  for (BackendFactory& factory : factories) {
    EXPECT_TRUE(registry.Add(std::move(factory)).ok());
  }
  return registry;
}

TEST(ParseBackendSpecTest, TakesNameAndParametersInOrder) {
  const absl::StatusOr<BackendSpec> plain = ParseBackendSpec("kvm");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->name, "kvm");
  EXPECT_THAT(plain->parameters, IsEmpty());

  const absl::StatusOr<BackendSpec> full =
      ParseBackendSpec("kvm:mode=fast,device=/dev/a:b=c");
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->name, "kvm");
  EXPECT_THAT(full->parameters,
              ElementsAre(Pair("mode", "fast"), Pair("device", "/dev/a:b=c")));
}

TEST(ParseBackendSpecTest, RefusesBadForms) {
  const auto refusal = [](const std::string& text) {
    const absl::StatusOr<BackendSpec> spec = ParseBackendSpec(text);
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(spec.status().message());
  };
  EXPECT_THAT(refusal(""), HasSubstr("names no backend"));
  EXPECT_THAT(refusal(":a=b"), HasSubstr("names no backend"));
  EXPECT_THAT(refusal("kvm:"), HasSubstr("has no \"=\""));
  EXPECT_THAT(refusal("kvm:a"), HasSubstr("\"a\" has no \"=\""));
  EXPECT_THAT(refusal("kvm:a=b,"), HasSubstr("has no \"=\""));
  EXPECT_THAT(refusal("kvm:=b"), HasSubstr("nothing before"));
  EXPECT_THAT(refusal("kvm:a=b,a=c"), HasSubstr("given twice"));
}

TEST(BackendRegistryTest, RefusesASecondOneOfTheSameName) {
  BackendRegistry registry = Registry({Fake("kvm")});
  const absl::Status status = registry.Add(Fake("kvm"));
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(registry.factories(), SizeIs(1));
  EXPECT_FALSE(registry.Add(Fake("auto")).ok());
  EXPECT_FALSE(registry.Add(Fake("")).ok());
  BackendFactory hollow = Fake("hollow");
  hollow.create = nullptr;
  EXPECT_FALSE(registry.Add(hollow).ok());
}

TEST(BackendRegistryTest, ExplicitModeOpensTheOneNamedAndSkipsNothing) {
  const BackendRegistry registry = Registry({Fake("first"), Fake("second")});
  const auto opened = registry.Open("second:device=/dev/x");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->backend->name(), "second");
  EXPECT_THAT(opened->skipped, IsEmpty());
}

TEST(BackendRegistryTest, ExplicitModeListsTheKnownOnesAndSuggestsTheNearest) {
  const BackendRegistry registry = Registry({Fake("kvm"), Fake("scripted")});
  const auto opened = registry.Open("scriptd");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(opened.status().message()),
              AllOf(HasSubstr("did you mean \"scripted\"?"),
                    HasSubstr("auto, kvm, scripted")));
}

TEST(BackendRegistryTest, ExplicitModeListsTheKeysTheBackendKnows) {
  const BackendRegistry registry = Registry({Fake("kvm")});
  const auto opened = registry.Open("kvm:devise=/dev/kvm");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(opened.status().message()),
      AllOf(HasSubstr("no parameter \"devise\""),
            HasSubstr("did you mean \"device\"?"), HasSubstr("device, mode")));
}

TEST(BackendRegistryTest, ExplicitModeKeepsTheBackendsOwnError) {
  const BackendRegistry registry =
      Registry({Fake("kvm", absl::OkStatus(),
                     absl::PermissionDeniedError("join the group kvm"))});
  const auto opened = registry.Open("kvm");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(opened.status().message(), "backend \"kvm\": join the group kvm");
}

TEST(BackendRegistryTest, AutoTakesTheFirstUsableOneAndSaysWhyNotTheOthers) {
  const BackendRegistry registry = Registry(
      {Fake("absent", absl::NotFoundError("no such device")),
       Fake("broken", absl::OkStatus(), absl::InternalError("gave up")),
       Fake("good"), Fake("never_asked", absl::InternalError("unseen"))});
  const auto opened = registry.Open("auto");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->backend->name(), "good");
  ASSERT_THAT(opened->skipped, SizeIs(2));
  EXPECT_EQ(opened->skipped[0].name, "absent");
  EXPECT_EQ(opened->skipped[0].why.message(), "no such device");
  EXPECT_EQ(opened->skipped[1].name, "broken");
  EXPECT_EQ(opened->skipped[1].why.message(), "gave up");
}

TEST(BackendRegistryTest, AutoNeverChoosesWhatIsNoMachine) {
  BackendFactory toy = Fake("toy");
  toy.is_machine = false;
  const BackendRegistry registry = Registry({toy});
  const auto opened = registry.Open("auto");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(opened.status().message()),
              AllOf(HasSubstr("no usable backend"), Not(HasSubstr("toy"))));
  EXPECT_TRUE(registry.Open("toy").ok());
}

TEST(BackendRegistryTest, AutoWithNothingUsableGivesAllReasons) {
  const BackendRegistry registry =
      Registry({Fake("one", absl::NotFoundError("no device")),
                Fake("two", absl::PermissionDeniedError("not root"))});
  const auto opened = registry.Open("auto");
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(opened.status().message()),
              AllOf(HasSubstr("one: no device"), HasSubstr("two: not root")));
}

TEST(BackendRegistryTest, AutoTakesNoParameters) {
  const auto opened = Registry({Fake("kvm")}).Open("auto:device=x");
  EXPECT_THAT(std::string(opened.status().message()),
              HasSubstr("takes no parameters"));
}

TEST(BackendRegistryTest, AFactoryWithoutAProbeIsTriedByMakingIt) {
  BackendFactory factory = Fake("kvm");
  factory.probe = nullptr;
  EXPECT_TRUE(Registry({factory}).Open("auto").ok());
}

}  // namespace
}  // namespace worldswitch
