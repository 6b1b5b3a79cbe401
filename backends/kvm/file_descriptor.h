// A file descriptor that is closed when its owner goes. Move-only.

#ifndef WORLDSWITCH_BACKENDS_KVM_FILE_DESCRIPTOR_H_
#define WORLDSWITCH_BACKENDS_KVM_FILE_DESCRIPTOR_H_

#include <utility>

namespace worldswitch {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}  // negative: none
  FileDescriptor(FileDescriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_FILE_DESCRIPTOR_H_
