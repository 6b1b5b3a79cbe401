// What the boot image brings of its own instead of a library, on this host:
// strings, the command line, pages.

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "native/command_line.h"
#include "native/page_allocator.h"
#include "native/text.h"

namespace worldswitch::native {
namespace {

TextView View(const char* text) { return {.data = text, .size = Length(text)}; }

TEST(NativeTextTest, GlobMatchesWhatShellsMatch) {
  EXPECT_TRUE(GlobMatches(View("user/*"), "user/pio_out"));
  EXPECT_TRUE(GlobMatches(View("*_out"), "user/pio_out"));
  EXPECT_TRUE(GlobMatches(View("u*p?o*t"), "user/pio_out"));
  EXPECT_TRUE(GlobMatches(View("*"), ""));
  EXPECT_TRUE(GlobMatches(View("a*b*c"), "a-b-b-c"));
  EXPECT_FALSE(GlobMatches(View("a*b*c"), "a-b-b-d"));
  EXPECT_FALSE(GlobMatches(View("user"), "user/pio_out"));
  EXPECT_FALSE(GlobMatches(View("?"), ""));
  EXPECT_FALSE(GlobMatches(View(""), "x"));
}

TEST(NativeTextTest, NumbersAreWholeOrNone) {
  std::uint64_t value = 7;
  EXPECT_TRUE(ParseNumber(View("0"), &value));
  EXPECT_EQ(value, 0u);
  EXPECT_TRUE(ParseNumber(View("18446744073709551615"), &value));
  EXPECT_EQ(value, ~std::uint64_t{0});
  EXPECT_TRUE(ParseNumber(View("0xFf"), &value));
  EXPECT_EQ(value, 255u);
  for (const char* bad : {"", "0x", "12a", "-1", "18446744073709551616", "0xg",
                          "0x10000000000000000"}) {
    EXPECT_FALSE(ParseNumber(View(bad), &value)) << bad;
  }
  EXPECT_EQ(value, 255u);
}

struct Parsed {
  bool good = false;
  Options options;
  std::string error;
};

Parsed Parse(const char* line) {
  Parsed parsed;
  UsageError error;
  parsed.good = ParseCommandLine(line, &parsed.options, &error);
  if (!parsed.good) {
    parsed.error = std::string(error.word.data, error.word.size) + ": " +
                   std::string(error.what);
  }
  return parsed;
}

TEST(NativeCommandLineTest, TakesCommandsAndTheirOptions) {
  const Parsed parsed = Parse(
      "/boot/image  bench conformance --scenario user/* --scenario a --mode "
      "ring3 --samples 5 --repetitions 2 --knob a=b --final --clause INJ.*");
  ASSERT_TRUE(parsed.good) << parsed.error;
  const Options& options = parsed.options;
  EXPECT_TRUE(options.bench);
  EXPECT_TRUE(options.conformance);
  EXPECT_FALSE(options.random);
  ASSERT_EQ(options.scenarios.size, 2u);
  EXPECT_TRUE(Equal(options.scenarios.items[0], "user/*"));
  EXPECT_TRUE(Equal(options.scenarios.items[1], "a"));
  EXPECT_TRUE(options.has_mode);
  EXPECT_EQ(options.mode, GuestMode::kRing3);
  EXPECT_EQ(options.samples, 5u);
  EXPECT_EQ(options.repetitions, 2u);
  EXPECT_TRUE(Equal(options.knobs.items[0], "a=b"));
  EXPECT_TRUE(options.final_loop);
  EXPECT_TRUE(Equal(options.clauses.items[0], "INJ.*"));
}

TEST(NativeCommandLineTest, SaysWhatItDoesNotTake) {
  const struct {
    const char* line;
    const char* error;
  } kCases[] = {
      {"", ": no command"},
      {"/boot/image", ": no command"},
      {"--samples 5", ": no command"},
      {"image bench frobnicate", "frobnicate: no such command"},
      {"bench --frobnicate 1", "--frobnicate: no such option"},
      {"bench --samples", "--samples: wants a value"},
      {"bench --samples 0", "0: not a number in its range"},
      {"bench --samples 100001", "100001: not a number in its range"},
      {"bench --mode ring1", "ring1: no such mode: real, ring0, ring3"},
      {"random --seed x", "x: not a number"},
  };
  for (const auto& each : kCases) {
    const Parsed parsed = Parse(each.line);
    EXPECT_FALSE(parsed.good) << each.line;
    EXPECT_EQ(parsed.error, each.error) << each.line;
  }
}

// Some memory below 4 GiB, as the allocator's pages are at their own address.
class NativePagesTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBytes = std::size_t{8} << 20;

  void SetUp() override {
    memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (memory_ == MAP_FAILED) GTEST_SKIP() << "no memory below 2 GiB: mmap";
    std::memset(memory_, 0xee, kBytes);
    first_ = reinterpret_cast<std::uint64_t>(memory_);
    pages_.Add(first_, first_ + kBytes);
  }
  void TearDown() override {
    if (memory_ != MAP_FAILED) munmap(memory_, kBytes);
  }

  void* memory_ = MAP_FAILED;
  std::uint64_t first_ = 0;
  PageAllocator pages_;
};

TEST_F(NativePagesTest, GivesZeroedAlignedPiecesAndTakesThemBack) {
  const std::uint64_t all = pages_.free_pages();
  EXPECT_EQ(all, kBytes / kPageBytes);
  constexpr std::size_t kLarge = std::size_t{2} << 20;
  auto* one = static_cast<std::uint8_t*>(pages_.Allocate(1, kPageBytes));
  auto* large =
      static_cast<std::uint8_t*>(pages_.Allocate(kLarge / kPageBytes, kLarge));
  ASSERT_NE(one, nullptr);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uint64_t>(large) % kLarge, 0u);
  EXPECT_EQ(one[0] | one[kPageBytes - 1] | large[0] | large[kLarge - 1], 0);
  EXPECT_EQ(pages_.free_pages(), all - 1 - kLarge / kPageBytes);
  EXPECT_TRUE(pages_.Free(large, kLarge / kPageBytes));
  EXPECT_FALSE(pages_.Free(large, 1)) << "a second time";
  EXPECT_TRUE(pages_.Free(one, 1));
  EXPECT_EQ(pages_.free_pages(), all);
  EXPECT_EQ(pages_.Allocate(1, kPageBytes), one) << "lowest first";
}

TEST_F(NativePagesTest, SaysWhenThereIsNoSuchPiece) {
  EXPECT_EQ(pages_.Allocate(kBytes / kPageBytes + 1, kPageBytes), nullptr);
  EXPECT_EQ(pages_.Allocate(1, std::size_t{1} << 40), nullptr);
  EXPECT_EQ(pages_.Allocate(0, kPageBytes), nullptr);
  pages_.Remove(first_ + kBytes / 2, first_ + kBytes / 2 + kPageBytes);
  EXPECT_EQ(pages_.Allocate(kBytes / kPageBytes / 2 + 1, kPageBytes), nullptr);
  EXPECT_NE(pages_.Allocate(kBytes / kPageBytes / 2, kPageBytes), nullptr);
}

}  // namespace
}  // namespace worldswitch::native
