#include "backends/kvm/file_descriptor.h"

#include <unistd.h>

namespace worldswitch {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace worldswitch
