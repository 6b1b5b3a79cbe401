// The bus: who answers for an address, at every edge; and the exit handler that
// stands on it.

#include "core/host/bus.h"

#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();

// Reads as its own bytes, and remembers where it was accessed.
class Memory final : public BusDevice {
 public:
  void Read(std::uint64_t offset, void* data, std::uint32_t size) override {
    reads.push_back(offset);
    std::memcpy(data, &bytes[offset % 64], size);
  }
  void Write(std::uint64_t offset, const void* data,
             std::uint32_t size) override {
    writes.push_back(offset);
    std::memcpy(&bytes[offset % 64], data, size);
  }
  std::uint8_t bytes[72] = {};
  std::vector<std::uint64_t> reads;
  std::vector<std::uint64_t> writes;
};

// Gives out its own number; safe from several threads.
class Numbered final : public BusDevice {
 public:
  explicit Numbered(std::uint32_t number) : number_(number) {}
  void Read(std::uint64_t /*offset*/, void* data, std::uint32_t size) override {
    std::memcpy(data, &number_, size);
  }
  void Write(std::uint64_t /*offset*/, const void* /*data*/,
             std::uint32_t /*size*/) override {}

 private:
  const std::uint32_t number_;
};

TEST(BusTest, AnEmptyBusClaimsNothing) {
  const Bus bus;
  std::uint8_t byte = 0x11;
  EXPECT_FALSE(bus.Read(0, &byte, 1));
  EXPECT_FALSE(bus.Write(kLast, &byte, 1));
  EXPECT_EQ(byte, 0x11);
}

TEST(BusTest, DevicesSeeOffsetsAndData) {
  Bus bus;
  Memory device;
  ASSERT_TRUE(bus.Add(0x3f8, 8, &device, "serial").ok());
  const std::uint16_t written = 0xbeef;
  EXPECT_TRUE(bus.Write(0x3fa, &written, 2));
  std::uint16_t read = 0;
  EXPECT_TRUE(bus.Read(0x3fa, &read, 2));
  EXPECT_EQ(read, written);
  EXPECT_THAT(device.writes, ElementsAre(2));
  EXPECT_THAT(device.reads, ElementsAre(2));
}

TEST(BusTest, FirstAndLastByteAreInsideTheirNeighboursAreNot) {
  Bus bus;
  Memory device;
  ASSERT_TRUE(bus.Add(0x100, 0x10, &device, "x").ok());
  std::uint32_t data = 0;
  EXPECT_TRUE(bus.Read(0x100, &data, 1));
  EXPECT_TRUE(bus.Read(0x10f, &data, 1));
  EXPECT_TRUE(bus.Read(0x10c, &data, 4));
  EXPECT_FALSE(bus.Read(0xff, &data, 1));
  EXPECT_FALSE(bus.Read(0xff, &data, 2));
  EXPECT_FALSE(bus.Read(0x110, &data, 1));
  EXPECT_FALSE(bus.Read(0x10f, &data, 2));
  EXPECT_FALSE(bus.Read(0, &data, 1));
  EXPECT_FALSE(bus.Read(kLast, &data, 1));
}

TEST(BusTest, AnAccessAcrossTwoNeighboursBelongsToNeither) {
  Bus bus;
  Memory low;
  Memory high;
  ASSERT_TRUE(bus.Add(0x10, 4, &low, "low").ok());
  ASSERT_TRUE(bus.Add(0x14, 4, &high, "high").ok());
  std::uint32_t data = 0;
  EXPECT_FALSE(bus.Write(0x12, &data, 4));
  EXPECT_TRUE(bus.Write(0x10, &data, 4));
  EXPECT_TRUE(bus.Write(0x14, &data, 4));
  EXPECT_THAT(low.writes, ElementsAre(0));
  EXPECT_THAT(high.writes, ElementsAre(0));
}

TEST(BusTest, OnlyOneToEightBytesAreAnAccess) {
  Bus bus;
  Memory device;
  ASSERT_TRUE(bus.Add(0, 64, &device, "x").ok());
  std::uint8_t data[16] = {};
  EXPECT_FALSE(bus.Read(0, data, 0));
  EXPECT_TRUE(bus.Read(0, data, 8));
  EXPECT_FALSE(bus.Read(0, data, 9));
  EXPECT_FALSE(bus.Read(0, data, ~0u));
}

TEST(BusTest, RefusesEmptyAndWrappingRangesAndNobody) {
  Bus bus;
  Memory device;
  EXPECT_THAT(std::string(bus.Add(0x10, 0, &device, "none").message()),
              AllOf(HasSubstr("\"none\""), HasSubstr("empty")));
  EXPECT_THAT(std::string(bus.Add(kLast, 2, &device, "over").message()),
              AllOf(HasSubstr("\"over\""), HasSubstr("wraps")));
  EXPECT_THAT(std::string(bus.Add(1, kLast, nullptr, "null").message()),
              HasSubstr("no device"));
  EXPECT_EQ(bus.device_count(), 0u);
}

TEST(BusTest, TheLastAddressOfAllCanBeADevices) {
  Bus bus;
  Memory low;
  Memory high;
  ASSERT_TRUE(bus.Add(kLast, 1, &high, "high").ok());
  ASSERT_TRUE(bus.Add(0, kLast, &low, "low").ok());
  std::uint8_t data[2] = {};
  EXPECT_TRUE(bus.Read(kLast, data, 1));
  EXPECT_TRUE(bus.Read(kLast - 1, data, 1));
  EXPECT_FALSE(bus.Read(kLast, data, 2));
  EXPECT_THAT(high.reads, ElementsAre(0));
  EXPECT_THAT(low.reads, ElementsAre(kLast - 1));
}

TEST(BusTest, RefusesOverlapsAndNamesBoth) {
  Bus bus;
  Memory device;
  ASSERT_TRUE(bus.Add(0x3f8, 8, &device, "serial").ok());
  struct Case {
    std::uint64_t start;
    std::uint64_t length;
  };
  for (const Case& overlap : {Case{0x3f8, 8}, Case{0x3f0, 9}, Case{0x3ff, 1},
                              Case{0x3fa, 2}, Case{0, 0x10000}}) {
    const absl::Status status =
        bus.Add(overlap.start, overlap.length, &device, "intruder");
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("\"intruder\""),
                      HasSubstr("\"serial\" at [0x3f8, 0x3ff]")));
  }
  EXPECT_TRUE(bus.Add(0x3f0, 8, &device, "below").ok());
  EXPECT_TRUE(bus.Add(0x400, 8, &device, "above").ok());
  EXPECT_EQ(bus.device_count(), 3u);
}

TEST(BusTest, ARemovedDeviceIsNotFoundAndLeavesRoom) {
  Bus bus;
  Memory first;
  Memory second;
  ASSERT_TRUE(bus.Add(0x10, 4, &first, "first").ok());
  ASSERT_TRUE(bus.Add(0x20, 4, &second, "second").ok());
  EXPECT_EQ(bus.Remove(0x11).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(bus.Remove(0x10).ok());
  std::uint8_t data = 0;
  EXPECT_FALSE(bus.Read(0x10, &data, 1));
  EXPECT_TRUE(bus.Read(0x20, &data, 1));
  // The names moved along: the message names the one that is still there.
  EXPECT_THAT(std::string(bus.Add(0x23, 1, &first, "x").message()),
              HasSubstr("\"second\""));
  EXPECT_TRUE(bus.Add(0x10, 4, &first, "again").ok());
  ASSERT_TRUE(bus.Remove(0x10).ok());
  ASSERT_TRUE(bus.Remove(0x20).ok());
  EXPECT_FALSE(bus.Read(0x20, &data, 1));
}

// Ranges of wildly different sizes and gaps: the directory has directories.
std::map<std::uint64_t, std::uint64_t> ClusteredRanges(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::uint64_t, std::uint64_t> ranges;
  std::uint64_t next = 0;
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t length = (random() >> (random() % 20 + 36)) + 1;
    ranges.emplace(next, length);
    next += length;
    if (random() % 2 == 0) next += random() >> (random() % 40 + 20);
    if (next > kLast / 2) break;
  }
  return ranges;
}

TEST(BusTest, FindsTheSameDevicesAsALinearSearch) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::map<std::uint64_t, std::uint64_t> ranges = ClusteredRanges(seed);
    std::vector<std::unique_ptr<Numbered>> devices;
    Bus bus;
    for (const auto& [start, length] : ranges) {
      devices.push_back(std::make_unique<Numbered>(devices.size()));
      ASSERT_TRUE(bus.Add(start, length, devices.back().get(), "x").ok());
    }
    const auto expect = [&](std::uint64_t address) {
      std::uint32_t number = 0;
      for (const auto& [start, length] : ranges) {
        if (address >= start && address - start < length) {
          std::uint8_t low = 0;
          EXPECT_TRUE(bus.Read(address, &low, 1)) << address;
          EXPECT_EQ(low, static_cast<std::uint8_t>(number)) << address;
          return;
        }
        ++number;
      }
      EXPECT_FALSE(bus.Read(address, &number, 1)) << address;
    };
    for (const auto& [start, length] : ranges) {
      expect(start - 1);
      expect(start);
      expect(start + length / 2);
      expect(start + length - 1);
      expect(start + length);
    }
    expect(0);
    expect(kLast);
  }
}

TEST(BusTest, SeveralThreadsMayReadAtOnce) {
  std::vector<std::unique_ptr<Numbered>> devices;
  Bus bus;
  for (std::uint32_t i = 0; i < 64; ++i) {
    devices.push_back(std::make_unique<Numbered>(i));
    ASSERT_TRUE(bus.Add(i * 0x1000, 8, devices.back().get(), "x").ok());
  }
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&bus] {
      for (std::uint32_t i = 0; i < 10'000; ++i) {
        std::uint32_t number = 0;
        ASSERT_TRUE(bus.Read(i % 64 * 0x1000, &number, 4));
        ASSERT_EQ(number, i % 64);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- The exit handler.

Exit IoExitOf(std::uint16_t port, std::uint8_t size, bool is_write,
              std::uint32_t count, void* data) {
  Exit exit = MakeExit(ExitReason::kIo);
  exit.io = {.is_write = is_write,
             .size = size,
             .port = port,
             .count = count,
             .data = data};
  return exit;
}

// Counts what it is given, and ends the loop.
class Counting final : public ExitHandler {
 public:
  LoopAction HandleExit(Exit& /*exit*/) override {
    ++count;
    return LoopAction::kReturn;
  }
  int count = 0;
};

TEST(BusExitHandlerTest, ServesARepStringExitElementByElement) {
  Bus ports;
  Memory device;
  ASSERT_TRUE(ports.Add(0x1f0, 8, &device, "disk").ok());
  BusExitHandler handler(&ports, nullptr);
  std::uint16_t data[3] = {0x1111, 0x2222, 0x3333};
  Exit exit = IoExitOf(0x1f0, 2, true, 3, data);
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  // All at the port itself: a string instruction does not step the port.
  EXPECT_THAT(device.writes, ElementsAre(0, 0, 0));
  EXPECT_EQ(device.bytes[0], 0x33);

  std::uint16_t read[2] = {};
  exit = IoExitOf(0x1f0, 2, false, 2, read);
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  EXPECT_THAT(read, ElementsAre(0x3333, 0x3333));
  EXPECT_EQ(handler.unclaimed(), 0u);
}

TEST(BusExitHandlerTest, ServesMmioWithTheFullAddress) {
  Bus mmio;
  Memory device;
  ASSERT_TRUE(mmio.Add(0xfec0'0000, 0x1000, &device, "ioapic").ok());
  BusExitHandler handler(nullptr, &mmio);
  std::uint64_t data = 0x1122'3344'5566'7788;
  Exit exit = MakeExit(ExitReason::kMmio);
  exit.mmio = {
      .gpa = 0xfec0'0010, .data = &data, .length = 8, .is_write = true};
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  data = 0;
  exit.mmio.is_write = false;
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  EXPECT_EQ(data, 0x1122'3344'5566'7788u);
  EXPECT_THAT(device.reads, ElementsAre(0x10));
}

TEST(BusExitHandlerTest, WhatNobodyClaimsReadsAsAllOnesAndIsCounted) {
  const Bus ports;
  BusExitHandler handler(&ports, nullptr);
  std::uint8_t data[5] = {1, 2, 3, 4, 5};
  Exit exit = IoExitOf(0x80, 2, false, 2, data);
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  EXPECT_THAT(data, ElementsAre(0xff, 0xff, 0xff, 0xff, 5));
  EXPECT_EQ(handler.unclaimed(), 2u);

  data[0] = 7;
  exit = IoExitOf(0x80, 1, true, 1, data);
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  EXPECT_EQ(data[0], 7);
  EXPECT_EQ(handler.unclaimed(), 3u);

  std::uint32_t word = 0;
  exit = MakeExit(ExitReason::kMmio);
  exit.mmio = {.gpa = 0, .data = &word, .length = 4, .is_write = false};
  EXPECT_EQ(handler.HandleExit(exit), LoopAction::kResume);
  EXPECT_EQ(word, ~0u);
  EXPECT_EQ(handler.unclaimed(), 4u);
}

TEST(BusExitHandlerTest, OtherExitsGoToTheNextHandlerOrEndTheLoop) {
  BusExitHandler alone(nullptr, nullptr);
  Exit hlt = MakeExit(ExitReason::kHlt);
  EXPECT_EQ(alone.HandleExit(hlt), LoopAction::kReturn);
  Exit unknown = MakeExit(ExitReason::kUnknown, 99);
  EXPECT_EQ(alone.HandleExit(unknown), LoopAction::kReturn);
  Exit retry = MakeExit(ExitReason::kRetry);
  EXPECT_EQ(alone.HandleExit(retry), LoopAction::kReturn);

  Counting next;
  BusExitHandler chained(nullptr, nullptr, &next);
  EXPECT_EQ(chained.HandleExit(hlt), LoopAction::kReturn);
  EXPECT_EQ(next.count, 1);
}

TEST(BusExitHandlerTest, ALateKickDoesNotEndTheLoop) {
  Exit kicked = MakeExit(ExitReason::kInterrupted);
  BusExitHandler alone(nullptr, nullptr);
  EXPECT_EQ(alone.HandleExit(kicked), LoopAction::kResume);

  Counting next;
  BusExitHandler chained(nullptr, nullptr, &next);
  EXPECT_EQ(chained.HandleExit(kicked), LoopAction::kReturn);
  EXPECT_EQ(next.count, 1);
}

}  // namespace
}  // namespace worldswitch
