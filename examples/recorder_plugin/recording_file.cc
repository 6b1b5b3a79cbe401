#include "recording_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace recorder {

using worldswitch::RecordingChunk;
using worldswitch::RecordingHeader;
using worldswitch::RecordingVm;

RecordingFile* RecordingFile::Create(const std::string& path,
                                     std::uint64_t limit,
                                     const std::string& backend,
                                     const std::string& engine, int* error) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    *error = errno;
    return nullptr;
  }
  auto* const file = new RecordingFile(descriptor, limit);
  RecordingHeader& header = file->header_;
  std::memcpy(header.magic, worldswitch::kRecordingMagic, sizeof(header.magic));
  header.version = worldswitch::kRecordingVersion;
  header.header_bytes = sizeof(RecordingHeader);
  header.event_limit = limit;
  // The last byte stays NUL.
  backend.copy(header.backend, sizeof(header.backend) - 1);
  engine.copy(header.engine, sizeof(header.engine) - 1);
  file->Write(&header, sizeof(header), 0);
  *error = file->error();
  if (*error == 0) return file;
  delete file;
  return nullptr;
}

RecordingFile::~RecordingFile() {
  header_.flags = worldswitch::kRecordingClosed;
  if (is_limited()) header_.flags |= worldswitch::kRecordingLimited;
  if (error() != 0) header_.flags |= worldswitch::kRecordingFailed;
  Write(&header_, sizeof(header_), 0);
  close(descriptor_);
}

std::uint32_t RecordingFile::AddVm(const RecordingVm& vm) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const RecordingChunk chunk = {.vm = header_.vms++,
                                .vcpu = worldswitch::kRecordingVmChunk,
                                .bytes = sizeof(vm),
                                .events = 0};
  WriteChunk(chunk, &vm);
  return chunk.vm;
}

void RecordingFile::Append(std::uint32_t vm, std::uint32_t vcpu,
                           const std::uint8_t* bytes, std::size_t size,
                           std::uint32_t events) {
  const std::lock_guard<std::mutex> lock(mutex_);
  WriteChunk({.vm = vm,
              .vcpu = vcpu,
              .bytes = static_cast<std::uint32_t>(size),
              .events = events},
             bytes);
  if (error() == 0) header_.events += events;
}

void RecordingFile::WriteChunk(const RecordingChunk& chunk, const void* bytes) {
  // After a chunk that is not whole nothing can be read.
  if (error() != 0) return;
  Write(&chunk, sizeof(chunk), end_);
  Write(bytes, chunk.bytes, end_ + sizeof(chunk));
  if (error() == 0) {
    end_ += sizeof(chunk) + chunk.bytes;
  } else if (ftruncate(descriptor_, static_cast<off_t>(end_)) != 0) {
    // The reader sees a chunk that is cut off, and says so.
  }
}

void RecordingFile::Write(const void* bytes, std::size_t size,
                          std::uint64_t offset) {
  const auto* from = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t wrote =
        pwrite(descriptor_, from, size, static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      int none = 0;
      error_.compare_exchange_strong(none, wrote < 0 ? errno : ENOSPC);
      return;
    }
    from += wrote;
    offset += static_cast<std::uint64_t>(wrote);
    size -= static_cast<std::size_t>(wrote);
  }
}

}  // namespace recorder
