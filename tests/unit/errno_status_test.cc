// A failed system call becomes a status a person can act on.

#include "core/host/errno_status.h"

#include <cerrno>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

TEST(ErrnoNameTest, GivesNameAndDescription) {
  EXPECT_EQ(ErrnoName(EACCES), "EACCES (Permission denied)");
  EXPECT_EQ(ErrnoName(ENOENT), "ENOENT (No such file or directory)");
  EXPECT_EQ(ErrnoName(EINTR), "EINTR (Interrupted system call)");
}

TEST(ErrnoNameTest, GivesTheNumberWhereThereIsNoName) {
  EXPECT_EQ(ErrnoName(4095), "errno 4095");
  EXPECT_EQ(ErrnoName(-1), "errno -1");
}

TEST(ErrnoStatusTest, SaysWhatWasAttemptedWhyItFailedAndWhatToDo) {
  const absl::Status status =
      ErrnoStatus(EACCES, "KVM_CREATE_VM on /dev/kvm", "Join the group kvm");
  EXPECT_EQ(status.message(),
            "KVM_CREATE_VM on /dev/kvm failed: EACCES (Permission denied). "
            "Join the group kvm");
}

TEST(ErrnoStatusTest, EndsWithTheErrnoWhereThereIsNoRemedy) {
  EXPECT_EQ(ErrnoStatus(ENODEV, "opening /dev/kvm").message(),
            "opening /dev/kvm failed: ENODEV (No such device)");
}

TEST(ErrnoStatusTest, CodeFollowsTheErrno) {
  EXPECT_EQ(ErrnoStatus(EACCES, "x").code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(ENOENT, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EINVAL, "x").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrnoStatus(EBUSY, "x").code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ErrnoStatusTest, IsNeverOkEvenWithoutAnErrno) {
  EXPECT_EQ(ErrnoStatus(0, "x").code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace worldswitch
