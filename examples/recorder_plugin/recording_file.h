// The file a recorder writes: bounded by a number of events, and in order
// whatever the vCPUs' threads do.

#ifndef RECORDER_PLUGIN_RECORDING_FILE_H_
#define RECORDER_PLUGIN_RECORDING_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "core/recording_format.h"

namespace recorder {

class RecordingFile {
 public:
  // Makes the file, empty; one that is there is replaced. Null: *error has the
  // errno.
  static RecordingFile* Create(const std::string& path, std::uint64_t limit,
                               const std::string& backend,
                               const std::string& engine, int* error);
  // Writes the header again, with what is known now.
  ~RecordingFile();
  RecordingFile(const RecordingFile&) = delete;
  RecordingFile& operator=(const RecordingFile&) = delete;

  // Any thread. True: one more event may be recorded. Once false, for ever.
  bool TakeOne() {
    if (events_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    is_limited_.store(true, std::memory_order_relaxed);
    return false;
  }
  // Any thread. The number of the VM in the file.
  std::uint32_t AddVm(const worldswitch::RecordingVm& vm);
  // Any thread. A piece of a vCPU's events.
  void Append(std::uint32_t vm, std::uint32_t vcpu, const std::uint8_t* bytes,
              std::size_t size, std::uint32_t events);

  // errno of the write that failed first; 0 if none did.
  int error() const { return error_.load(); }
  bool is_limited() const { return is_limited_.load(); }

 private:
  RecordingFile(int descriptor, std::uint64_t limit)
      : descriptor_(descriptor), limit_(limit) {}

  void WriteChunk(const worldswitch::RecordingChunk& chunk, const void* bytes);
  void Write(const void* bytes, std::size_t size, std::uint64_t offset);

  const int descriptor_;
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> events_ = 0;  // asked for
  std::atomic<bool> is_limited_ = false;
  std::atomic<int> error_ = 0;
  std::mutex mutex_;  // of all below
  worldswitch::RecordingHeader header_ = {};
  std::uint64_t end_ = sizeof(worldswitch::RecordingHeader);
};

}  // namespace recorder

#endif  // RECORDER_PLUGIN_RECORDING_FILE_H_
