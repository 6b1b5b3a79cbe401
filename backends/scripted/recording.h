// A recording, read from a file and checked: every event of it can be played
// (core/recording_format.h, docs/recording.md).

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_RECORDING_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_RECORDING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/recording_format.h"

namespace worldswitch {

struct Recording {
  struct VcpuEvents {
    std::vector<std::uint8_t> bytes;  // whole events, one after the other
    std::uint64_t events = 0;
  };
  struct RecordedVm {
    RecordingVm about = {};
    std::vector<VcpuEvents> vcpus;
  };

  std::string backend;  // what was recorded
  std::string engine;
  std::uint32_t flags = 0;  // kRecordingClosed, ...
  std::vector<RecordedVm> vms;
};

// NotFound and others by the errno: the file cannot be read. DataLoss: it is no
// recording, of another version, cut off, or has an event that is none; says
// where.
absl::StatusOr<Recording> ReadRecording(const std::string& path);

// The same of a file's content.
absl::StatusOr<Recording> ParseRecording(const std::string& text);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_RECORDING_H_
