// What the host did to a measurement behind its back, read between blocks of
// samples: context switches, page faults, interrupts, stolen time, migration.
// Reading allocates nothing; what a host does not tell is unknown, not 0.

#ifndef WORLDSWITCH_BENCH_NOISE_H_
#define WORLDSWITCH_BENCH_NOISE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace worldswitch {

// Counters that only grow, as they stand now. Empty: the host does not say.
struct NoiseReading {
  // Of the calling thread: getrusage(RUSAGE_THREAD).
  std::optional<std::uint64_t> voluntary_switches;
  std::optional<std::uint64_t> involuntary_switches;
  std::optional<std::uint64_t> minor_faults;
  std::optional<std::uint64_t> major_faults;
  // Of the probe's CPU: the LOC row of /proc/interrupts, and all other rows.
  std::optional<std::uint64_t> timer_interrupts;
  std::optional<std::uint64_t> other_interrupts;
  // Of the probe's CPU, from /proc/stat: time that a hypervisor below gave to
  // others, in USER_HZ ticks of 10 ms. Less than one tick does not show.
  std::optional<std::uint64_t> steal_ticks;
  // Where the calling thread ran when it asked.
  std::optional<std::uint32_t> cpu;
};

// What happened between two readings of one thread. Empty: unknown at either
// end, or the counter went backwards.
struct NoiseDelta {
  std::optional<std::uint64_t> voluntary_switches;
  std::optional<std::uint64_t> involuntary_switches;
  std::optional<std::uint64_t> minor_faults;
  std::optional<std::uint64_t> major_faults;
  std::optional<std::uint64_t> timer_interrupts;
  std::optional<std::uint64_t> other_interrupts;
  std::optional<std::uint64_t> steal_ticks;
  // The two readings were made on different CPUs. False does not exclude a
  // move there and back.
  std::optional<bool> moved;

  // True if anything known happened: a block to be shown as contaminated,
  // never to be deleted. What is unknown does not contaminate.
  bool Contaminated() const;
};

NoiseDelta Difference(const NoiseReading& before, const NoiseReading& after);

// Keeps the files open and a buffer to read them into. Read() is for outside
// timed regions: some 30 us, more on hosts with many CPUs. Not thread-safe,
// and the thread's counters are those of whoever calls Read().
class NoiseProbe {
 public:
  // cpu: whose interrupts and steal time are counted, 0 or more. root: where
  // proc/ is looked for; another one than "/" is for tests. Never fails: what
  // cannot be opened, and a CPU that is not there, stays unknown.
  explicit NoiseProbe(int cpu, const std::string& root = "/");
  NoiseProbe(NoiseProbe&& other) noexcept;
  NoiseProbe& operator=(NoiseProbe&& other) noexcept;
  NoiseProbe(const NoiseProbe&) = delete;
  NoiseProbe& operator=(const NoiseProbe&) = delete;
  ~NoiseProbe();

  NoiseReading Read();

 private:
  void ReadInterrupts(NoiseReading* reading);
  void ReadSteal(NoiseReading* reading);

  int cpu_ = 0;
  int interrupts_fd_ = -1;
  int stat_fd_ = -1;
  std::vector<char> buffer_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_NOISE_H_
