// The boot image as the host of the ring-0 backends. Freestanding.

#ifndef WORLDSWITCH_NATIVE_IMAGE_HOST_H_
#define WORLDSWITCH_NATIVE_IMAGE_HOST_H_

#include "backends/native/host_services.h"
#include "native/boot_information.h"
#include "native/page_allocator.h"

namespace worldswitch::native {

// Gives out the machine's memory, but for the image itself. Once.
void SetUpMemory(const BootInformation& information);
// All memory that is not the image's.
PageAllocator& Pages();

// What backends/native asks for. Constant; physical addresses are virtual ones.
extern const HostServices kImageHost;

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_IMAGE_HOST_H_
