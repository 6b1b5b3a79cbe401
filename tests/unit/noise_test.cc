#include "bench/noise.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// The analyser takes every `new` below for a malloc that is never freed.
#ifndef __clang_analyzer__
// Counts every allocation of this program. Kept out of line, or the compiler
// sees malloc behind one and not behind the other, and warns of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace worldswitch {
namespace {

using testing::Optional;

constexpr char kInterrupts[] =
    "           CPU0       CPU1       CPU4       \n"
    " 24:          1          5         11  IO-APIC   5-edge      ACPI:Ged\n"
    " 36:          0      12663         22 PCI-MSIX-0000:00:02.0   1-edge  v\n"
    "NMI:          0          2         33   Non-maskable interrupts\n"
    "LOC:      24561      31496        770   Local timer interrupts\n"
    "RES:       2946       2614         44   Rescheduling interrupts\n"
    "ERR:       1000\n"
    "MIS:       2000\n";
constexpr char kStat[] =
    "cpu  2193 0 1471 531598 241 0 27 999 0 0\n"
    "cpu0 582 0 469 266664 8 0 12 2 0 0\n"
    "cpu1 1611 0 1002 264934 232 0 15 6 0 0\n"
    "cpu4 1 2 3 4 5 6 7 88 9 10\n"
    "intr 124291 0 0\n";

// A root with a proc/ of our own making.
class FakeRoot {
 public:
  FakeRoot() {
    std::string pattern = testing::TempDir() + "noise.XXXXXX";
    path_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(path_ / "proc");
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  // Overwrites in place: an open descriptor sees the new text.
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / "proc" / name, std::ios::trunc) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(NoiseProbeTest, ReadsTheColumnOfItsCpu) {
  const FakeRoot root;
  root.Write("interrupts", kInterrupts);
  root.Write("stat", kStat);
  const NoiseReading first = NoiseProbe(0, root.path()).Read();
  EXPECT_THAT(first.timer_interrupts, Optional(24561U));
  EXPECT_THAT(first.other_interrupts, Optional(2947U));  // not ERR, not MIS
  EXPECT_THAT(first.steal_ticks, Optional(2U));
  const NoiseReading second = NoiseProbe(1, root.path()).Read();
  EXPECT_THAT(second.timer_interrupts, Optional(31496U));
  EXPECT_THAT(second.other_interrupts, Optional(15284U));
  EXPECT_THAT(second.steal_ticks, Optional(6U));
}

TEST(NoiseProbeTest, ColumnsAreNamedNotNumbered) {
  const FakeRoot root;
  root.Write("interrupts", kInterrupts);
  root.Write("stat", kStat);
  const NoiseReading reading = NoiseProbe(4, root.path()).Read();
  EXPECT_THAT(reading.timer_interrupts, Optional(770U));
  EXPECT_THAT(reading.other_interrupts, Optional(110U));
  EXPECT_THAT(reading.steal_ticks, Optional(88U));
}

TEST(NoiseProbeTest, AbsentCpuIsUnknown) {
  const FakeRoot root;
  root.Write("interrupts", kInterrupts);
  root.Write("stat", kStat);
  for (const int cpu : {2, 3, 44, -1}) {
    const NoiseReading reading = NoiseProbe(cpu, root.path()).Read();
    EXPECT_EQ(reading.timer_interrupts, std::nullopt) << cpu;
    EXPECT_EQ(reading.other_interrupts, std::nullopt) << cpu;
    EXPECT_EQ(reading.steal_ticks, std::nullopt) << cpu;
  }
}

TEST(NoiseProbeTest, MissingAndBrokenFilesAreUnknown) {
  const FakeRoot root;
  const NoiseReading missing = NoiseProbe(0, root.path()).Read();
  EXPECT_EQ(missing.timer_interrupts, std::nullopt);
  EXPECT_EQ(missing.steal_ticks, std::nullopt);
  EXPECT_TRUE(missing.voluntary_switches);  // needs no file
  root.Write("interrupts", "");
  root.Write("stat", "cpu0 1 2\n");
  const NoiseReading broken = NoiseProbe(0, root.path()).Read();
  EXPECT_EQ(broken.other_interrupts, std::nullopt);
  EXPECT_EQ(broken.steal_ticks, std::nullopt);
}

TEST(NoiseProbeTest, SeesWhatHappenedBetweenTwoReadings) {
  const FakeRoot root;
  root.Write("interrupts", "  CPU0\nLOC: 10 x\nRES: 5 x\nCAL: 7 x\n");
  root.Write("stat", "cpu0 0 0 0 0 0 0 0 3 0 0\n");
  NoiseProbe probe(0, root.path());
  const NoiseReading before = probe.Read();
  root.Write("interrupts", "  CPU0\nLOC: 14 x\nRES: 6 x\nCAL: 9 x\n");
  root.Write("stat", "cpu0 0 0 0 0 0 0 0 4 0 0\n");
  const NoiseDelta delta = Difference(before, probe.Read());
  EXPECT_THAT(delta.timer_interrupts, Optional(4U));
  EXPECT_THAT(delta.other_interrupts, Optional(3U));
  EXPECT_THAT(delta.steal_ticks, Optional(1U));
  EXPECT_TRUE(delta.Contaminated());
}

TEST(NoiseProbeTest, FileLargerThanTheFirstBufferIsReadWhole) {
  const FakeRoot root;
  std::string text = "  CPU0 CPU1\n";
  for (int line = 0; line < 5000; ++line) {
    absl::StrAppend(&text, line, ": 1 2 some controller, some device\n");
  }
  root.Write("interrupts", text + "LOC: 3 4 Local timer interrupts\n");
  const NoiseReading reading = NoiseProbe(1, root.path()).Read();
  EXPECT_THAT(reading.other_interrupts, Optional(10000U));
  EXPECT_THAT(reading.timer_interrupts, Optional(4U));
}

TEST(NoiseProbeTest, ReadingAllocatesNothing) {
  NoiseProbe probe(0);
  const std::uint64_t before = allocations.load();
  const NoiseReading reading = probe.Read();
  EXPECT_EQ(allocations.load() - before, 0U);
  EXPECT_TRUE(reading.minor_faults);
}

TEST(NoiseProbeTest, CountsThePageFaultsOfTheThread) {
  NoiseProbe probe(0);
  constexpr std::size_t kBytes = std::size_t{64} * 4096;
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const NoiseReading before = probe.Read();
  for (std::size_t at = 0; at < kBytes; at += 4096) {
    static_cast<volatile char*>(memory)[at] = 1;
  }
  const NoiseDelta delta = Difference(before, probe.Read());
  munmap(memory, kBytes);
  ASSERT_TRUE(delta.minor_faults);
  EXPECT_GE(*delta.minor_faults, 1U);  // one where a huge page serves them all
  EXPECT_TRUE(delta.Contaminated());
}

TEST(NoiseProbeTest, TellsTheCpuOfTheCaller) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  const NoiseReading reading = NoiseProbe(0).Read();
  ASSERT_TRUE(reading.cpu);
  EXPECT_TRUE(CPU_ISSET(*reading.cpu, &allowed));
}

TEST(NoiseProbeTest, MovedProbeStillReads) {
  const FakeRoot root;
  root.Write("interrupts", kInterrupts);
  root.Write("stat", kStat);
  NoiseProbe first(0, root.path());
  NoiseProbe second(std::move(first));
  EXPECT_THAT(second.Read().steal_ticks, Optional(2U));
  NoiseProbe third(1, root.path());
  third = std::move(second);
  EXPECT_THAT(third.Read().steal_ticks, Optional(2U));
}

TEST(NoiseDifferenceTest, UnknownAtEitherEndIsUnknown) {
  NoiseReading before;
  NoiseReading after;
  before.steal_ticks = 1;
  after.minor_faults = 1;
  before.timer_interrupts = 9;
  after.timer_interrupts = 8;  // went backwards
  const NoiseDelta delta = Difference(before, after);
  EXPECT_EQ(delta.steal_ticks, std::nullopt);
  EXPECT_EQ(delta.minor_faults, std::nullopt);
  EXPECT_EQ(delta.timer_interrupts, std::nullopt);
  EXPECT_EQ(delta.moved, std::nullopt);
  EXPECT_FALSE(delta.Contaminated());
}

TEST(NoiseDifferenceTest, AnyOneSourceContaminates) {
  NoiseReading quiet;
  quiet.voluntary_switches = 1;
  quiet.involuntary_switches = 2;
  quiet.minor_faults = 3;
  quiet.major_faults = 4;
  quiet.timer_interrupts = 5;
  quiet.other_interrupts = 6;
  quiet.steal_ticks = 7;
  quiet.cpu = 1;
  EXPECT_FALSE(Difference(quiet, quiet).Contaminated());
  for (const auto member :
       {&NoiseReading::voluntary_switches, &NoiseReading::involuntary_switches,
        &NoiseReading::minor_faults, &NoiseReading::major_faults,
        &NoiseReading::timer_interrupts, &NoiseReading::other_interrupts,
        &NoiseReading::steal_ticks}) {
    NoiseReading after = quiet;
    after.*member = *(after.*member) + 1;
    EXPECT_TRUE(Difference(quiet, after).Contaminated());
  }
  NoiseReading elsewhere = quiet;
  elsewhere.cpu = 0;
  EXPECT_THAT(Difference(quiet, elsewhere).moved, Optional(true));
  EXPECT_TRUE(Difference(quiet, elsewhere).Contaminated());
}

}  // namespace
}  // namespace worldswitch
