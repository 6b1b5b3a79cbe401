// Host memory that backs a guest: anonymous, 2 MiB pages, hugetlb, or a shared
// memfd. Move-only; unmapped when it goes.

#ifndef WORLDSWITCH_CORE_HOST_GUEST_MEMORY_H_
#define WORLDSWITCH_CORE_HOST_GUEST_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/host/backend.h"

namespace worldswitch {

class GuestMemory {
 public:
  // bytes: a positive multiple of 4096 (kHuge and kHugetlb: of 2 MiB, rounded
  // up for the caller). Zero-filled. Errors name the backing and the remedy
  // (for hugetlb: how to reserve pages).
  static absl::StatusOr<GuestMemory> Create(std::uint64_t bytes,
                                            MemoryBacking backing);
  GuestMemory() = default;
  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&& other) noexcept;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory();

  std::byte* data() const { return data_; }
  std::uint64_t size() const { return size_; }
  MemoryBacking backing() const { return backing_; }
  // kMemfd: the descriptor, owned by this; -1 otherwise.
  int fd() const { return fd_; }

  // Takes the backing of [offset, offset + length) away: it reads as zeros
  // afterwards, after a fault. Both page-aligned for the backing.
  absl::Status Discard(std::uint64_t offset, std::uint64_t length);

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  int fd_ = -1;
  MemoryBacking backing_ = MemoryBacking::kAnonymous;
};

const char* MemoryBackingName(MemoryBacking backing);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_GUEST_MEMORY_H_
