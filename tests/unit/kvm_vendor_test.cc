// Which backend an engine gets: by name, and by auto.

#include "backends/kvm/kvm_vendor.h"

#include <memory>
#include <string>
#include <vector>

#include "backends/scripted/scripted_backend.h"
#include "backends/svm_amd/svm_backend.h"
#include "backends/vmx_intel/vmx_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(KvmVendorTest, EachVendorTakesItsOwnEngineAlone) {
  EXPECT_TRUE(CheckEngine(VmxVendor(), KvmEngine::kIntel, "/dev/kvm").ok());
  EXPECT_TRUE(CheckEngine(SvmVendor(), KvmEngine::kAmd, "/dev/kvm").ok());
  for (const KvmEngine other :
       {KvmEngine::kAmd, KvmEngine::kPvm, KvmEngine::kUnknown}) {
    EXPECT_EQ(CheckEngine(VmxVendor(), other, "/dev/kvm").code(),
              absl::StatusCode::kFailedPrecondition);
  }
  for (const KvmEngine other :
       {KvmEngine::kIntel, KvmEngine::kPvm, KvmEngine::kUnknown}) {
    EXPECT_EQ(CheckEngine(SvmVendor(), other, "/dev/kvm").code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

TEST(KvmVendorTest, TheRefusalSaysWhatTheEngineIsAndWhatToTake) {
  EXPECT_THAT(
      std::string(
          CheckEngine(VmxVendor(), KvmEngine::kAmd, "/dev/kvm").message()),
      AllOf(HasSubstr("the engine behind /dev/kvm is kvm_amd"),
            HasSubstr("vmx_intel is for VT-x on kvm_intel alone"),
            HasSubstr("take backend svm_amd")));
  EXPECT_THAT(
      std::string(
          CheckEngine(SvmVendor(), KvmEngine::kPvm, "/dev/kvm").message()),
      AllOf(HasSubstr("is kvm_pvm"), HasSubstr("take backend kvm")));
  EXPECT_THAT(
      std::string(
          CheckEngine(SvmVendor(), KvmEngine::kUnknown, "/dev/k").message()),
      AllOf(HasSubstr("/dev/k is not known"), HasSubstr("take backend kvm")));
}

// What auto skips on a host with this engine, with backends that open a script
// instead of a machine.
std::vector<std::string> SkippedOn(KvmEngine engine) {
  BackendRegistry registry;
  for (const KvmVendor& vendor : {VmxVendor(), SvmVendor()}) {
    BackendFactory factory = KvmVendorFactory(vendor);
    factory.probe = [vendor, engine] {
      return CheckEngine(vendor, engine, "/dev/kvm");
    };
    factory.create =
        [](const BackendSpec&) -> absl::StatusOr<std::unique_ptr<Backend>> {
      return MakeScriptedBackend(Script());
    };
    EXPECT_TRUE(registry.Add(std::move(factory)).ok());
  }
  BackendFactory any;
  any.name = "kvm";
  any.create =
      [](const BackendSpec&) -> absl::StatusOr<std::unique_ptr<Backend>> {
    return MakeScriptedBackend(Script());
  };
  EXPECT_TRUE(registry.Add(std::move(any)).ok());
  absl::StatusOr<BackendRegistry::Opened> opened = registry.Open("auto");
  EXPECT_TRUE(opened.ok()) << opened.status();
  std::vector<std::string> skipped;
  for (const BackendRegistry::Skipped& each : opened->skipped) {
    skipped.push_back(each.name);
  }
  return skipped;
}

TEST(KvmVendorTest, AutoTakesTheVendorOfTheEngineAndElseKvm) {
  EXPECT_THAT(SkippedOn(KvmEngine::kIntel), IsEmpty());
  EXPECT_THAT(SkippedOn(KvmEngine::kAmd), ElementsAre("vmx_intel"));
  EXPECT_THAT(SkippedOn(KvmEngine::kPvm), ElementsAre("vmx_intel", "svm_amd"));
  EXPECT_THAT(SkippedOn(KvmEngine::kUnknown),
              ElementsAre("vmx_intel", "svm_amd"));
}

TEST(KvmVendorTest, FactoriesTakeTheParametersOfKvm) {
  for (const BackendFactory& factory :
       {VmxBackendFactory(), SvmBackendFactory()}) {
    EXPECT_TRUE(factory.is_machine);
    ASSERT_EQ(factory.parameters.size(), 2u);
    EXPECT_EQ(factory.parameters[0].name, "device");
    const absl::Status missing =
        factory.create({factory.name, {{"device", "/nonexistent/kvm"}}})
            .status();
    EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(missing.message()), HasSubstr("/nonexistent/kvm"));
    EXPECT_EQ(
        factory.create({factory.name, {{"kick_signal", "no"}}}).status().code(),
        absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace worldswitch
