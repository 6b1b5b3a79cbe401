#include "bench/noise.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace worldswitch {
namespace {

constexpr std::size_t kSmallestBuffer = std::size_t{64} * 1024;

int OpenForReading(const std::string& root, absl::string_view path) {
  const bool slash = !root.empty() && root.back() == '/';
  return open(absl::StrCat(root, slash ? "" : "/", path).c_str(),
              O_RDONLY | O_CLOEXEC);
}

// The file from its start, as much of it as fits; empty on an error.
absl::string_view ReadWhole(int fd, std::vector<char>& buffer) {
  std::size_t length = 0;
  while (fd >= 0 && length < buffer.size()) {
    const ssize_t got =
        pread(fd, buffer.data() + length, buffer.size() - length,
              static_cast<off_t>(length));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {};
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  return {buffer.data(), length};
}

// Takes the next line off `text`.
absl::string_view NextLine(absl::string_view* text) {
  const std::size_t end = std::min(text->find('\n'), text->size());
  const absl::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return line;
}

// Takes the next word off `line`; empty at its end.
absl::string_view NextWord(absl::string_view* line) {
  *line = absl::StripLeadingAsciiWhitespace(*line);
  const std::size_t end = std::min(line->find_first_of(" \t"), line->size());
  const absl::string_view word = line->substr(0, end);
  line->remove_prefix(end);
  return word;
}

// True if `word` is "<prefix><number>".
bool IsNumbered(absl::string_view word, absl::string_view prefix, int number) {
  int value = 0;
  return word.substr(0, prefix.size()) == prefix &&
         absl::SimpleAtoi(word.substr(prefix.size()), &value) &&
         value == number;
}

// Which column of /proc/interrupts is the CPU's: only CPUs that are online
// have one. -1 where there is none.
int ColumnOf(absl::string_view header, int cpu) {
  for (int column = 0;; ++column) {
    const absl::string_view word = NextWord(&header);
    if (word.empty()) return -1;
    if (IsNumbered(word, "CPU", cpu)) return column;
  }
}

std::optional<std::uint64_t> Minus(std::optional<std::uint64_t> after,
                                   std::optional<std::uint64_t> before) {
  if (!after || !before || *after < *before) return std::nullopt;
  return *after - *before;
}

}  // namespace

bool NoiseDelta::Contaminated() const {
  return voluntary_switches.value_or(0) != 0 ||
         involuntary_switches.value_or(0) != 0 ||
         minor_faults.value_or(0) != 0 || major_faults.value_or(0) != 0 ||
         timer_interrupts.value_or(0) != 0 ||
         other_interrupts.value_or(0) != 0 || steal_ticks.value_or(0) != 0 ||
         moved.value_or(false);
}

NoiseDelta Difference(const NoiseReading& before, const NoiseReading& after) {
  NoiseDelta delta;
  delta.voluntary_switches =
      Minus(after.voluntary_switches, before.voluntary_switches);
  delta.involuntary_switches =
      Minus(after.involuntary_switches, before.involuntary_switches);
  delta.minor_faults = Minus(after.minor_faults, before.minor_faults);
  delta.major_faults = Minus(after.major_faults, before.major_faults);
  delta.timer_interrupts =
      Minus(after.timer_interrupts, before.timer_interrupts);
  delta.other_interrupts =
      Minus(after.other_interrupts, before.other_interrupts);
  delta.steal_ticks = Minus(after.steal_ticks, before.steal_ticks);
  if (before.cpu && after.cpu) delta.moved = *before.cpu != *after.cpu;
  return delta;
}

NoiseProbe::NoiseProbe(int cpu, const std::string& root)
    : cpu_(cpu),
      interrupts_fd_(OpenForReading(root, "proc/interrupts")),
      stat_fd_(OpenForReading(root, "proc/stat")),
      buffer_(kSmallestBuffer) {
  // Grow until the larger file fills no more than half: counters get longer.
  while (std::max(ReadWhole(interrupts_fd_, buffer_).size(),
                  ReadWhole(stat_fd_, buffer_).size()) > buffer_.size() / 2) {
    buffer_.resize(buffer_.size() * 2);
  }
}

NoiseProbe::NoiseProbe(NoiseProbe&& other) noexcept
    : cpu_(other.cpu_),
      interrupts_fd_(std::exchange(other.interrupts_fd_, -1)),
      stat_fd_(std::exchange(other.stat_fd_, -1)),
      buffer_(std::move(other.buffer_)) {}

NoiseProbe& NoiseProbe::operator=(NoiseProbe&& other) noexcept {
  std::swap(cpu_, other.cpu_);
  std::swap(interrupts_fd_, other.interrupts_fd_);
  std::swap(stat_fd_, other.stat_fd_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

NoiseProbe::~NoiseProbe() {
  if (interrupts_fd_ >= 0) close(interrupts_fd_);
  if (stat_fd_ >= 0) close(stat_fd_);
}

NoiseReading NoiseProbe::Read() {
  NoiseReading reading;
  struct rusage usage {};
  if (getrusage(RUSAGE_THREAD, &usage) == 0) {
    reading.voluntary_switches = usage.ru_nvcsw;
    reading.involuntary_switches = usage.ru_nivcsw;
    reading.minor_faults = usage.ru_minflt;
    reading.major_faults = usage.ru_majflt;
  }
  const int here = sched_getcpu();
  if (here >= 0) reading.cpu = static_cast<std::uint32_t>(here);
  ReadInterrupts(&reading);
  ReadSteal(&reading);
  return reading;
}

void NoiseProbe::ReadInterrupts(NoiseReading* reading) {
  absl::string_view text = ReadWhole(interrupts_fd_, buffer_);
  if (text.size() == buffer_.size()) return;  // may be cut off
  const int column = ColumnOf(NextLine(&text), cpu_);
  if (column < 0) return;
  std::uint64_t other = 0;
  while (!text.empty()) {
    absl::string_view line = NextLine(&text);
    const absl::string_view label = NextWord(&line);
    // These two have one count for the whole machine, in no CPU's column.
    if (label == "ERR:" || label == "MIS:") continue;
    for (int skip = 0; skip < column; ++skip) NextWord(&line);
    std::uint64_t count = 0;
    if (!absl::SimpleAtoi(NextWord(&line), &count)) continue;
    if (label == "LOC:") {
      reading->timer_interrupts = count;
    } else {
      other += count;
    }
  }
  reading->other_interrupts = other;
}

void NoiseProbe::ReadSteal(NoiseReading* reading) {
  absl::string_view text = ReadWhole(stat_fd_, buffer_);
  while (!text.empty()) {
    absl::string_view line = NextLine(&text);
    if (!IsNumbered(NextWord(&line), "cpu", cpu_)) continue;
    // user nice system idle iowait irq softirq steal ... (proc(5))
    constexpr int kFieldsBefore = 7;
    for (int skip = 0; skip < kFieldsBefore; ++skip) NextWord(&line);
    std::uint64_t steal = 0;
    if (absl::SimpleAtoi(NextWord(&line), &steal)) reading->steal_ticks = steal;
    return;
  }
}

}  // namespace worldswitch
