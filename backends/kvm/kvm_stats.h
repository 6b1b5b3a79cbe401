// What the engine counts, by KVM_GET_STATS_FD.
//
// The descriptors are read once; after that one value is one pread. Values may
// be read from any thread, also while the vCPU runs.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_STATS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_STATS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/kvm/file_descriptor.h"
#include "core/vm_ops.h"

namespace worldswitch {

class KvmStats {
 public:
  // One value; of a histogram, only its first bucket is named here.
  struct Value {
    std::string name;
    std::uint64_t value = 0;
  };

  // owner_fd: a VM or a vCPU. what: for the error, for example "vCPU 0".
  static absl::StatusOr<KvmStats> Open(int owner_fd, absl::string_view what);

  // Unknown where this engine has no such counter. kExits and the rest are
  // KVM's own, so a counter that exists may still never move on some engine.
  OptionalValue Read(Counter counter) const;
  // By KVM's name, for example "exits".
  OptionalValue Read(absl::string_view name) const;
  // All of them, in KVM's order. Costs one pread each.
  std::vector<Value> ReadAll() const;

 private:
  struct Place {
    std::string name;
    std::uint64_t offset;  // in the file, bytes
  };
  explicit KvmStats(FileDescriptor fd) : fd_(std::move(fd)) {}
  OptionalValue ReadAt(std::int64_t offset) const;

  FileDescriptor fd_;
  std::vector<Place> places_;
  std::array<std::int64_t, static_cast<std::size_t>(Counter::kCount)>
      counter_offsets_ = {};  // negative: not there
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_STATS_H_
