#include "native/image_host.h"

#include "native/console.h"
#include "native/interrupts.h"
#include "native/log_format.h"
#include "native/machine_end.h"

extern "C" {
// image.ld
extern const std::byte ws_image_begin[];
extern const std::byte ws_bss_end[];
}

namespace worldswitch::native {
namespace {

constinit PageAllocator pages;

void* AllocatePages(void* /*context*/, std::size_t count,
                    std::size_t alignment) {
  return pages.Allocate(count, alignment);
}

void FreePages(void* /*context*/, void* first, std::size_t count) {
  if (pages.Free(first, count)) return;
  console.Text("pages were given back that nobody had: ")
      .Decimal(count)
      .Text(" at ")
      .Hex(reinterpret_cast<std::uint64_t>(first))
      .End();
  EndMachine(native_log::kDoneFailed);
}

std::uint64_t PhysicalAddress(void* /*context*/, const void* address) {
  return reinterpret_cast<std::uint64_t>(address);
}

void Log(void* /*context*/, const char* line) { console.Text(line).End(); }

void Dispatch(void* /*context*/, std::uint8_t vector) {
  DispatchInterrupt(vector);
}

}  // namespace

constinit const HostServices kImageHost = {.context = nullptr,
                                           .allocate_pages = AllocatePages,
                                           .free_pages = FreePages,
                                           .physical_address = PhysicalAddress,
                                           .log = Log,
                                           .dispatch_interrupt = Dispatch};

void SetUpMemory(const BootInformation& information) {
  for (std::size_t i = 0; i < information.range_count(); ++i) {
    pages.Add(information.range(i).first, information.range(i).end);
  }
  const auto first = reinterpret_cast<std::uint64_t>(ws_image_begin);
  const auto end = reinterpret_cast<std::uint64_t>(ws_bss_end);
  pages.Remove(first, (end + kPageBytes - 1) / kPageBytes * kPageBytes);
}

PageAllocator& Pages() { return pages; }

}  // namespace worldswitch::native
