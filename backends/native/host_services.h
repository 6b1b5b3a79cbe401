// What the ring-0 halves of the vendor backends ask of whatever hosts them: the
// boot image today, a kernel module another day. Nothing else is assumed.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_HOST_SERVICES_H_
#define WORLDSWITCH_BACKENDS_NATIVE_HOST_SERVICES_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

inline constexpr std::size_t kPageBytes = 4096;

// Every function is called with `context`, on the CPU that runs the vCPUs, and
// never between two entries.
struct HostServices {
  void* context = nullptr;
  // Zeroed pages, physically contiguous, mapped for the CPU that calls.
  // alignment: bytes, a power of two, at least kPageBytes. Null: there are no
  // more.
  void* (*allocate_pages)(void* context, std::size_t pages,
                          std::size_t alignment) = nullptr;
  void (*free_pages)(void* context, void* first, std::size_t pages) = nullptr;
  // Of memory that allocate_pages gave, or that the code itself lies in.
  std::uint64_t (*physical_address)(void* context,
                                    const void* address) = nullptr;
  // One line for a person, without its end.
  void (*log)(void* context, const char* line) = nullptr;
  // An interrupt that an exit has acknowledged (VMX, "acknowledge interrupt on
  // exit") goes to the host's own handler. Interrupts are off.
  void (*dispatch_interrupt)(void* context, std::uint8_t vector) = nullptr;
};

// Pages that give themselves back.
class HostPages {
 public:
  HostPages() = default;
  HostPages(const HostServices& host, std::size_t pages,
            std::size_t alignment = kPageBytes)
      : host_(&host),
        first_(host.allocate_pages(host.context, pages, alignment)),
        pages_(pages) {}
  ~HostPages() { Free(); }
  HostPages(const HostPages&) = delete;
  HostPages& operator=(const HostPages&) = delete;
  HostPages(HostPages&& other) noexcept
      : host_(other.host_), first_(other.first_), pages_(other.pages_) {
    other.first_ = nullptr;
  }
  HostPages& operator=(HostPages&& other) noexcept {
    if (this != &other) {
      Free();
      host_ = other.host_;
      first_ = other.first_;
      pages_ = other.pages_;
      other.first_ = nullptr;
    }
    return *this;
  }

  explicit operator bool() const { return first_ != nullptr; }
  template <typename T = std::byte>
  T* as() const {
    return static_cast<T*>(first_);
  }
  std::size_t bytes() const { return pages_ * kPageBytes; }
  std::uint64_t physical() const {
    return host_->physical_address(host_->context, first_);
  }

 private:
  void Free() {
    if (first_ != nullptr) host_->free_pages(host_->context, first_, pages_);
    first_ = nullptr;
  }

  const HostServices* host_ = nullptr;
  void* first_ = nullptr;
  std::size_t pages_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_HOST_SERVICES_H_
