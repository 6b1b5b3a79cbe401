#include "native/host_integrity.h"

#include "native/cpu.h"
#include "native/interrupts.h"
#include "native/local_timer.h"
#include "native/run_guard.h"

extern "C" {
// image.ld: code and constants.
extern const std::uint64_t ws_image_begin[];
extern const std::uint64_t ws_constants_end[];
}

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kEfer = 0xc0000080;
constexpr std::uint32_t kPat = 0x277;
constexpr std::uint64_t kPattern = 0x5aa55aa55aa55aa5;
constexpr std::size_t kWords = kPageBytes / sizeof(std::uint64_t);

constexpr std::uint32_t kTimerCounts = 200;
constexpr std::uint32_t kMostWaits = 1'000'000;

std::uint16_t StoreTr() {
  std::uint16_t value = 0;
  asm volatile("str %0" : "=r"(value));
  return value;
}

std::uint16_t ReadCs() {
  std::uint16_t value = 0;
  asm volatile("mov %%cs, %0" : "=r"(value));
  return value;
}

std::uint16_t ReadSs() {
  std::uint16_t value = 0;
  asm volatile("mov %%ss, %0" : "=r"(value));
  return value;
}

}  // namespace

HostIntegrity::HostIntegrity(const HostServices& host)
    : registers_(ReadRegisters()), image_sum_(SumOfImage()) {
  for (HostPages& pages : watched_) {
    pages = HostPages(host, 1);
    if (!pages) continue;
    for (std::size_t i = 0; i < kWords; ++i) {
      pages.as<std::uint64_t>()[i] = kPattern;
    }
  }
}

HostIntegrity::Registers HostIntegrity::ReadRegisters() {
  const TablePointer gdt = ReadGdtr();
  const TablePointer idt = ReadIdtr();
  return {.cr0 = ReadCr0(),
          .cr3 = ReadCr3(),
          .cr4 = ReadCr4(),
          .efer = ReadMsr(kEfer),
          .pat = ReadMsr(kPat),
          .gdt_base = gdt.base,
          .idt_base = idt.base,
          .idt_limit = idt.limit,
          .tr = StoreTr(),
          .cs = ReadCs(),
          .ss = ReadSs()};
}

std::uint64_t HostIntegrity::SumOfImage() {
  std::uint64_t sum = 0;
  for (const std::uint64_t* at = ws_image_begin; at < ws_constants_end; ++at) {
    sum = (sum << 1 | sum >> 63) ^ *at;
  }
  return sum;
}

const char* HostIntegrity::CheckRegisters() const {
  const Registers now = ReadRegisters();
  if (now.cr0 != registers_.cr0) return "the host's CR0 changed";
  if (now.cr3 != registers_.cr3) return "the host's CR3 changed";
  if (now.cr4 != registers_.cr4) return "the host's CR4 changed";
  if (now.efer != registers_.efer) return "the host's EFER changed";
  if (now.pat != registers_.pat) return "the host's PAT changed";
  // VMX makes the limits 0xffff at every exit (SDM 3C, 28.5.2); a larger GDT
  // limit does no harm, of the IDT all vectors have to stay.
  if (now.gdt_base != registers_.gdt_base) return "the host's GDT moved";
  if (now.idt_base != registers_.idt_base) return "the host's IDT moved";
  if (now.idt_limit < registers_.idt_limit) return "the host's IDT is shorter";
  if (now.tr != registers_.tr) return "the host's TR changed";
  if (now.cs != registers_.cs) return "the host's CS changed";
  if (now.ss != registers_.ss) return "the host's SS changed";
  return nullptr;
}

const char* HostIntegrity::CheckMemory() const {
  if (SumOfImage() != image_sum_) return "the image's code changed";
  for (const HostPages& pages : watched_) {
    if (!pages) continue;
    for (std::size_t i = 0; i < kWords; ++i) {
      if (pages.as<std::uint64_t>()[i] != kPattern) {
        return "memory that nobody was given changed";
      }
    }
  }
  return nullptr;
}

const char* HostIntegrity::CheckTimer() const {
  if (!run_guard.has_timer()) return nullptr;
  const KickHandle nobody;
  run_guard.Begin(nobody, kTimerCounts);
  std::uint32_t waits = 0;
  EnableInterrupts();
  while (!run_guard.fired() && waits < kMostWaits) {
    ++waits;
    asm volatile("pause");
  }
  DisableInterrupts();
  run_guard.End();
  return waits == kMostWaits ? "the host's timer interrupts no more" : nullptr;
}

}  // namespace worldswitch::native
