// Whether the host is still what it was: the CPU's own registers and tables,
// the image's code, memory that nobody was given, and the timer's interrupts.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_HOST_INTEGRITY_H_
#define WORLDSWITCH_NATIVE_HOST_INTEGRITY_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"

namespace worldswitch::native {

class HostIntegrity {
 public:
  // Takes the present state for the right one, and some pages to watch.
  explicit HostIntegrity(const HostServices& host);

  // Null: all as it was. Else what is not. A few hundred instructions.
  const char* CheckRegisters() const;
  // The same of code, constants and watched pages: some 10,000 instructions.
  const char* CheckMemory() const;
  // Whether an interrupt of the host's timer arrives.
  const char* CheckTimer() const;

 private:
  static constexpr std::size_t kWatchedPages = 8;

  struct Registers {
    std::uint64_t cr0, cr3, cr4, efer, pat, gdt_base, idt_base;
    std::uint16_t idt_limit, tr, cs, ss;
  };
  static Registers ReadRegisters();
  static std::uint64_t SumOfImage();

  Registers registers_;
  std::uint64_t image_sum_;
  HostPages watched_[kWatchedPages];
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_HOST_INTEGRITY_H_
