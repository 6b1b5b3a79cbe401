// What it costs to find a device by address, for buses of 1 to 4096 devices.
//
// Every batch of accesses to the bus under test is followed by a batch to one
// of 16 devices, so that both see the same clock; the counter ratio_to_16 is
// the median of their quotients, and what "hardly grows" in core/host/bus.h
// stands on.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/host/bus.h"

namespace worldswitch {
namespace {

constexpr std::size_t kBatch = 8192;  // accesses
constexpr std::int64_t kReference = 16;

// One register, so that a device costs next to nothing.
class Latch final : public BusDevice {
 public:
  void Read(std::uint64_t /*offset*/, void* data, std::uint32_t size) override {
    std::memcpy(data, &value_, size);
  }
  void Write(std::uint64_t /*offset*/, const void* data,
             std::uint32_t size) override {
    std::memcpy(&value_, data, size);
  }

 private:
  std::uint64_t value_ = 0;
};

enum class Layout {
  kPorts,      // 8 ports each, evenly spread
  kMmio,       // a page each, evenly spread
  kScattered,  // MMIO in three clusters far apart, with random gaps
};

struct Range {
  std::uint64_t start;
  std::uint64_t length;
};

std::vector<Range> Place(Layout layout, std::size_t devices) {
  std::mt19937_64 random(devices);
  std::vector<Range> ranges;
  std::uint64_t next = 0xc000'0000;
  for (std::uint64_t i = 0; i < devices; ++i) {
    switch (layout) {
      case Layout::kPorts:
        ranges.push_back({.start = i * 16, .length = 8});
        break;
      case Layout::kMmio:
        ranges.push_back(
            {.start = 0xc000'0000 + i * 0x10000, .length = 0x1000});
        break;
      case Layout::kScattered:
        if (i == devices / 4) next = 0xfec0'0000;
        if (i == devices / 4 + 2) next = std::uint64_t{0x38} << 40;
        ranges.push_back({.start = next, .length = 0x1000});
        next += 0x1000 * (1 + random() % 16);
        break;
    }
  }
  return ranges;
}

// A bus, its devices, and random accesses to them: all made before the clock
// starts.
class Load {
 public:
  Load(Layout layout, std::size_t devices) : devices_(devices) {
    const std::vector<Range> ranges = Place(layout, devices);
    for (std::size_t i = 0; i < devices; ++i) {
      const absl::Status added =
          bus_.Add(ranges[i].start, ranges[i].length, &devices_[i],
                   absl::StrCat("latch", i));
      if (!added.ok()) {
        std::fprintf(stderr, "%s\n", added.ToString().c_str());
        std::exit(1);
      }
    }
    std::mt19937_64 random(devices);
    for (std::size_t i = 0; i < kBatch; ++i) {
      const Range& range = ranges[random() % devices];
      addresses_.push_back(range.start + random() % (range.length / 4) * 4);
    }
  }

  // Seconds for one batch of reads. (Writes take the same way; but a store may
  // alias with a table's address, and where the heap puts it then counts for
  // more than the search.)
  double Run() const {
    std::uint32_t value = 0;
    std::size_t claimed = 0;
    const auto before = std::chrono::steady_clock::now();
    for (const std::uint64_t address : addresses_) {
      claimed += bus_.Read(address, &value, sizeof(value)) ? 1 : 0;
      benchmark::DoNotOptimize(value);
    }
    const auto after = std::chrono::steady_clock::now();
    if (claimed != kBatch) {
      std::fprintf(stderr, "an access found no device\n");
      std::exit(1);
    }
    return std::chrono::duration<double>(after - before).count();
  }

 private:
  std::vector<Latch> devices_;
  Bus bus_;
  std::vector<std::uint64_t> addresses_;
};

double Median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void Dispatch(benchmark::State& state, Layout layout) {
  const Load load(layout, static_cast<std::size_t>(state.range(0)));
  const Load reference(layout, kReference);
  std::vector<double> ratios;
  ratios.reserve(state.max_iterations);
  for (auto _ : state) {
    const double seconds = load.Run();
    ratios.push_back(seconds / reference.Run());
    state.SetIterationTime(seconds);
  }
  state.SetItemsProcessed(state.iterations() *
                          static_cast<std::int64_t>(kBatch));
  state.counters["devices"] = static_cast<double>(state.range(0));
  state.counters["ratio_to_16"] = Median(std::move(ratios));
}

void Sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("devices")
      ->Arg(1)
      ->Arg(16)
      ->Arg(64)
      ->Arg(256)
      ->Arg(1024)
      ->Arg(4096)
      ->UseManualTime();
}

BENCHMARK_CAPTURE(Dispatch, ports, Layout::kPorts)->Apply(Sizes);
BENCHMARK_CAPTURE(Dispatch, mmio, Layout::kMmio)->Apply(Sizes);
BENCHMARK_CAPTURE(Dispatch, scattered, Layout::kScattered)->Apply(Sizes);

}  // namespace
}  // namespace worldswitch

BENCHMARK_MAIN();
