// The backend's front door: parameters, and devices that are none.

#include "backends/kvm/kvm_backend.h"

#include <csignal>
#include <string>

#include "backends/kvm/kick_block.h"
#include "backends/kvm/kvm_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

TEST(KvmBackendTest, ParametersAreTakenOver) {
  const absl::StatusOr<KvmBackendOptions> options = ParseKvmBackendOptions(
      {"kvm", {{"device", "/dev/other"}, {"kick_signal", "40"}}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->device, "/dev/other");
  EXPECT_EQ(options->kick_signal, 40);
}

TEST(KvmBackendTest, WrongParametersAreRefused) {
  for (const char* value : {"", "no", "0", "-3", "4x"}) {
    EXPECT_EQ(ParseKvmBackendOptions({"kvm", {{"kick_signal", value}}})
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument)
        << value;
  }
  EXPECT_FALSE(ParseKvmBackendOptions({"kvm", {{"colour", "red"}}}).ok());
}

TEST(KvmBackendTest, ADeviceThatIsNotThereSaysWhatToDo) {
  const absl::Status status =
      KvmSystem::Open("/nonexistent/kvm", "/nonexistent").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("/nonexistent/kvm"), HasSubstr("ENOENT"),
                    HasSubstr("modprobe")));
}

TEST(KvmBackendTest, ADeviceThatIsNotKvmIsRefused) {
  const absl::Status status =
      KvmSystem::Open("/dev/null", "/nonexistent").status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("KVM_GET_API_VERSION"), HasSubstr("/dev/null"),
                    HasSubstr("not KVM")));
}

TEST(KvmBackendTest, NoPermissionNamesTheCommandToType) {
  const absl::Status status = KvmOpenStatus(EACCES, "/dev/kvm");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("EACCES"), HasSubstr("usermod -aG kvm")));
}

TEST(KvmBackendTest, BusyNamesTheOtherHypervisor) {
  const absl::Status status = KvmStatus(EBUSY, "KVM_CREATE_VM on /dev/kvm");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("EBUSY"), HasSubstr("hypervisor")));
}

TEST(KickSignalTest, AnIgnoredSignalIsRefused) {
  const int signal = SIGRTMIN + 7;
  std::signal(signal, SIG_IGN);
  const absl::Status status = KickBlock::PrepareSignal(signal);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  std::signal(signal, SIG_DFL);
  EXPECT_TRUE(KickBlock::PrepareSignal(signal).ok());
  EXPECT_TRUE(KickBlock::PrepareSignal(signal).ok()) << "a second time";
  std::raise(signal);  // does not end the process any more
}

TEST(KickSignalTest, AHandlerOfTheProgramStays) {
  const int signal = SIGRTMIN + 8;
  static volatile std::sig_atomic_t seen = 0;
  std::signal(signal, [](int) { seen = 1; });
  EXPECT_TRUE(KickBlock::PrepareSignal(signal).ok());
  std::raise(signal);
  EXPECT_EQ(seen, 1);
}

TEST(KickSignalTest, WhatIsNoSignalIsRefused) {
  EXPECT_FALSE(KickBlock::PrepareSignal(0).ok());
  EXPECT_FALSE(KickBlock::PrepareSignal(1000).ok());
  EXPECT_FALSE(KickBlock::PrepareSignal(SIGKILL).ok());
}

}  // namespace
}  // namespace worldswitch
