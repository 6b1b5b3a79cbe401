// Exits: every reason has a name of its own, and what MakeExit fills in.

#include "core/exit.h"

#include <cerrno>
#include <set>
#include <string>

#include "core/vm_ops.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

TEST(ExitReasonTest, EveryReasonHasANameOfItsOwn) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < kExitReasonCount; ++i) {
    const std::string name = ExitReasonName(static_cast<ExitReason>(i));
    EXPECT_NE(name[0], '(') << i;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

TEST(ExitReasonTest, ANumberBeyondTheReasonsIsNamedAsSuch) {
  EXPECT_STREQ(ExitReasonName(ExitReason::kCount), "(no such reason)");
  EXPECT_STREQ(ExitReasonName(static_cast<ExitReason>(255)),
               "(no such reason)");
}

TEST(ExitTest, ADefaultExitIsUnknownAndWithoutError) {
  const Exit exit = {};
  EXPECT_EQ(exit.reason, ExitReason::kUnknown);
  EXPECT_EQ(exit.raw, 0u);
  EXPECT_EQ(exit.error.error_number, 0);
}

TEST(ExitTest, MakeExitKeepsReasonRawCodeAndErrno) {
  const Exit exit = MakeExit(ExitReason::kRetry, 48, EAGAIN);
  EXPECT_EQ(exit.reason, ExitReason::kRetry);
  EXPECT_EQ(exit.raw, 48u);
  EXPECT_EQ(exit.error.error_number, EAGAIN);
}

TEST(VmOpsTest, EveryCapabilityAndCounterHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 0; i < static_cast<int>(Capability::kCount); ++i) {
    const std::string name = CapabilityName(static_cast<Capability>(i));
    EXPECT_TRUE(name[0] != '(' && names.insert(name).second) << name;
  }
  names.clear();
  for (int i = 0; i < static_cast<int>(Counter::kCount); ++i) {
    const std::string name = CounterName(static_cast<Counter>(i));
    EXPECT_TRUE(name[0] != '(' && names.insert(name).second) << name;
  }
}

TEST(MemoryViewTest, AtGivesOnlyWhatIsWhollyInside) {
  std::byte bytes[16] = {};
  const MemoryView view = {.host = bytes, .gpa = 0x1000, .size = 16};
  EXPECT_EQ(view.At(0x1000, 16), bytes);
  EXPECT_EQ(view.At(0x100f, 1), bytes + 15);
  EXPECT_EQ(view.At(0x1010, 0), bytes + 16);
  EXPECT_EQ(view.At(0x100f, 2), nullptr);
  EXPECT_EQ(view.At(0xfff, 1), nullptr);
  EXPECT_EQ(view.At(0x1000, 17), nullptr);
  EXPECT_EQ(view.At(~std::uint64_t{0}, 2), nullptr);
  EXPECT_EQ(view.At(0x1001, ~std::uint64_t{0}), nullptr);
}

}  // namespace
}  // namespace worldswitch
