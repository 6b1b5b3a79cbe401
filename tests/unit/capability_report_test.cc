// Where capability reports read from.

#include "core/host/capability_report.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/fake_host.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(CapabilitySourcesTest, AnMsrIsReadAtItsIndex) {
  const FakeHost host;
  // 8 bytes at offset 0x480, as the kernel's file has them.
  host.Write("dev/cpu/0/msr",
             std::string(0x480, '\0') +
                 std::string("\x04\x00\x00\x00\x00\x04\xda\x00", 8));
  const CapabilitySources sources = HostCapabilitySources(host.root());
  const absl::StatusOr<std::uint64_t> value = sources.read_msr(0x480);
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, 0xDA040000000004u);
  EXPECT_FALSE(sources.read_msr(0x484).ok()) << "half a register";
}

TEST(CapabilitySourcesTest, WithoutTheModuleTheRemedyIsNamed) {
  const FakeHost host;
  const CapabilitySources sources = HostCapabilitySources(host.root());
  const absl::Status status = sources.read_msr(0x480).status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("dev/cpu/0/msr"), HasSubstr("ENOENT"),
                    HasSubstr("modprobe msr")));
}

TEST(CapabilitySourcesTest, WordsOfALineOfTheFirstProcessor) {
  const std::string text =
      "flags\t\t: fpu vmx\nvmx flags\t: ept vpid\n\nvmx flags\t: other\n";
  EXPECT_THAT(CpuInfoWords(text, "vmx flags"), ElementsAre("ept", "vpid"));
  EXPECT_THAT(CpuInfoWords(text, "flags"), ElementsAre("fpu", "vmx"));
  EXPECT_THAT(CpuInfoWords(text, "bugs"), IsEmpty());
  EXPECT_THAT(CpuInfoWords("", "flags"), IsEmpty());
}

}  // namespace
}  // namespace worldswitch
