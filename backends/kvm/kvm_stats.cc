#include "backends/kvm/kvm_stats.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_status.h"

namespace worldswitch {
namespace {

// True if all of [offset, offset + size) was read.
bool ReadFully(int fd, void* to, std::size_t size, std::uint64_t offset) {
  const ssize_t got = pread(fd, to, size, static_cast<off_t>(offset));
  if (got >= 0 && static_cast<std::size_t>(got) != size) errno = EIO;
  return got >= 0 && static_cast<std::size_t>(got) == size;
}

}  // namespace

absl::StatusOr<KvmStats> KvmStats::Open(int owner_fd, absl::string_view what) {
  FileDescriptor fd(ioctl(owner_fd, KVM_GET_STATS_FD, nullptr));
  if (!fd.valid()) {
    return KvmStatus(errno, absl::StrCat("KVM_GET_STATS_FD of ", what));
  }
  KvmStats stats(std::move(fd));
  kvm_stats_header header;
  if (!ReadFully(stats.fd_.get(), &header, sizeof(header), 0)) {
    return KvmStatus(errno, absl::StrCat("read the statistics of ", what));
  }
  const std::size_t stride = sizeof(kvm_stats_desc) + header.name_size;
  std::vector<char> descriptors(stride * header.num_desc);
  if (!ReadFully(stats.fd_.get(), descriptors.data(), descriptors.size(),
                 header.desc_offset)) {
    return KvmStatus(errno,
                     absl::StrCat("read the statistics' names of ", what));
  }
  stats.places_.reserve(header.num_desc);
  for (std::size_t i = 0; i < header.num_desc; ++i) {
    const char* const at = descriptors.data() + i * stride;
    kvm_stats_desc descriptor;
    std::memcpy(&descriptor, at, sizeof(descriptor));
    const char* const name = at + sizeof(descriptor);
    stats.places_.push_back(
        {std::string(name, strnlen(name, header.name_size)),
         std::uint64_t{header.data_offset} + descriptor.offset});
  }
  for (std::size_t i = 0; i < stats.counter_offsets_.size(); ++i) {
    stats.counter_offsets_[i] = -1;
    // CounterName is KVM's own name of it.
    const absl::string_view name = CounterName(static_cast<Counter>(i));
    for (const Place& place : stats.places_) {
      if (place.name == name) {
        stats.counter_offsets_[i] = static_cast<std::int64_t>(place.offset);
      }
    }
  }
  return stats;
}

OptionalValue KvmStats::ReadAt(std::int64_t offset) const {
  std::uint64_t value = 0;
  if (offset < 0 || !ReadFully(fd_.get(), &value, sizeof(value),
                               static_cast<std::uint64_t>(offset))) {
    return {};
  }
  return {true, value};
}

OptionalValue KvmStats::Read(Counter counter) const {
  const auto index = static_cast<std::size_t>(counter);
  return index < counter_offsets_.size() ? ReadAt(counter_offsets_[index])
                                         : OptionalValue{};
}

OptionalValue KvmStats::Read(absl::string_view name) const {
  for (const Place& place : places_) {
    if (place.name == name) {
      return ReadAt(static_cast<std::int64_t>(place.offset));
    }
  }
  return {};
}

std::vector<KvmStats::Value> KvmStats::ReadAll() const {
  std::vector<Value> values;
  values.reserve(places_.size());
  for (const Place& place : places_) {
    values.push_back(
        {place.name, ReadAt(static_cast<std::int64_t>(place.offset)).value});
  }
  return values;
}

}  // namespace worldswitch
