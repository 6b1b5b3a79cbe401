// A recording: what one backend's vCPUs were asked and what they answered, in a
// file. Written by examples/recorder_plugin, replayed by the backend `scripted`
// (recording=FILE), described in docs/recording.md.
//
// This is the frame: a header, then chunks. A chunk belongs to one vCPU of one
// VM and holds whole events (core/recording_event.h); a vCPU's chunks stand in
// their order. All numbers are little-endian.
//
// Freestanding, header only.

#ifndef WORLDSWITCH_CORE_RECORDING_FORMAT_H_
#define WORLDSWITCH_CORE_RECORDING_FORMAT_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

inline constexpr char kRecordingMagic[8] = {'W', 'S', 'R', 'E',
                                            'C', 'O', 'R', 'D'};
inline constexpr std::uint32_t kRecordingVersion = 2;

// RecordingHeader::flags.
inline constexpr std::uint32_t kRecordingClosed = 1;   // ended in order
inline constexpr std::uint32_t kRecordingLimited = 2;  // the limit was reached
inline constexpr std::uint32_t kRecordingFailed = 4;   // a write failed

struct RecordingHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t header_bytes;  // sizeof(RecordingHeader)
  std::uint32_t flags;         // 0 until it is closed
  std::uint32_t vms;           // as many were made; good when closed
  std::uint64_t event_limit;
  std::uint64_t events;  // in the file; good when closed
  char backend[32];      // what was recorded, NUL to the end
  char engine[32];
};

// RecordingChunk::vcpu of a chunk that is a RecordingVm.
inline constexpr std::uint32_t kRecordingVmChunk = 0xffff'ffff;

struct RecordingChunk {
  std::uint32_t vm;  // from 0, in the order in which they were made
  std::uint32_t vcpu;
  std::uint32_t bytes;   // that follow
  std::uint32_t events;  // in them
};
inline constexpr std::uint32_t kMostRecordingChunk = 1 << 20;  // bytes

// Before any event of the VM.
struct RecordingVm {
  std::uint64_t memory_bytes;
  std::uint32_t vcpus;
  std::uint32_t capabilities;  // bit n: Capability n
};

inline std::uint32_t RecordedCapabilities(const VmOps& vm) {
  std::uint32_t bits = 0;
  for (unsigned i = 0; i < static_cast<unsigned>(Capability::kCount); ++i) {
    if (vm.has(static_cast<Capability>(i))) bits |= std::uint32_t{1} << i;
  }
  return bits;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_RECORDING_FORMAT_H_
