// Lines of native/log_format.h, to the console. Freestanding.

#ifndef WORLDSWITCH_NATIVE_LOG_WRITER_H_
#define WORLDSWITCH_NATIVE_LOG_WRITER_H_

#include <cstddef>
#include <cstdint>

#include "bench/sample.h"
#include "native/console.h"

namespace worldswitch::native {

// "@info KEY TEXT".
void LogInfo(const char* key, const char* text);
void LogInfo(const char* key, std::uint64_t value);

// Samples and control samples, N alike in a row as one line.
class SampleLog {
 public:
  ~SampleLog() { Flush(); }
  // has_legs: sample's h1 and h2 are good wherever it has exits.
  void Add(const Sample& sample, bool has_legs);
  void AddControl(std::int64_t ticks);
  void Flush();

 private:
  struct Line {
    bool is_control = false;
    bool has_legs = false;
    std::int64_t values[4] = {};
    bool operator==(const Line& other) const = default;
  };
  void AddLine(const Line& line);

  Line last_;
  std::uint64_t count_ = 0;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_LOG_WRITER_H_
