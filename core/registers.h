// The guest's registers as the contract sees them, in wanted/cached/dirty sets.
//
// A caller states what it wants after every exit (`wanted`), reads what is
// `cached`, and marks what it changed `dirty`; how and when the values move (an
// ioctl, a shared page, VMREAD) is the backend's business.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_REGISTERS_H_
#define WORLDSWITCH_CORE_REGISTERS_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

// A set of register groups; combine with |.
using RegisterSet = std::uint8_t;
inline constexpr RegisterSet kNoRegisters = 0;
inline constexpr RegisterSet kGeneralRegisters = 1;
inline constexpr RegisterSet kSpecialRegisters = 2;
inline constexpr RegisterSet kAllRegisters =
    kGeneralRegisters | kSpecialRegisters;

struct GeneralRegisters {
  std::uint64_t rax, rbx, rcx, rdx;
  std::uint64_t rsi, rdi, rsp, rbp;
  std::uint64_t r8, r9, r10, r11;
  std::uint64_t r12, r13, r14, r15;
  std::uint64_t rip, rflags;
};

// Access rights in the VMX format (SDM 3C, "Guest Register State"): type 3:0,
// S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
struct Segment {
  std::uint64_t base;
  std::uint32_t limit;  // in bytes, after scaling by G
  std::uint32_t access_rights;
  std::uint16_t selector;
};

struct DescriptorTable {
  std::uint64_t base;
  std::uint16_t limit;
};

struct SpecialRegisters {
  Segment cs, ds, es, fs, gs, ss, tr, ldtr;
  DescriptorTable gdtr, idtr;
  std::uint64_t cr0, cr2, cr3, cr4, cr8;
  std::uint64_t efer;
  std::uint64_t apic_base;  // IA32_APIC_BASE
};

// One per vCPU, owned by the backend, touched only by the thread that runs the
// vCPU.
struct RegisterFile {
  GeneralRegisters general;
  SpecialRegisters special;
  // Filled after every exit that is complete, without asking again. Set by the
  // caller; kNoRegisters is cheapest.
  RegisterSet wanted = kNoRegisters;
  // What of the above mirrors the guest now. Kept by the backend.
  RegisterSet cached = kNoRegisters;
  // What the caller changed since; reaches the guest at the next `run`, or at
  // once by commit_registers. Only groups that are cached may become dirty.
  RegisterSet dirty = kNoRegisters;

  // Bits of InUse's argument: any group that is in the set.
  static constexpr std::uint32_t kWanted = 0xff;
  static constexpr std::uint32_t kCached = 0xff00;
  static constexpr std::uint32_t kDirty = 0xff0000;

  // Whether one of `sets` has a group. One load: they lie side by side.
  bool InUse(std::uint32_t sets) const {
    static_assert(offsetof(RegisterFile, cached) ==
                  offsetof(RegisterFile, wanted) + 1);
    static_assert(offsetof(RegisterFile, dirty) ==
                  offsetof(RegisterFile, wanted) + 2);
    static_assert(offsetof(RegisterFile, wanted) + sizeof(std::uint32_t) <=
                  sizeof(RegisterFile));
    std::uint32_t all = 0;
    __builtin_memcpy(&all,
                     reinterpret_cast<const std::byte*>(this) +
                         offsetof(RegisterFile, wanted),
                     sizeof(all));
    return (all & sets) != 0;
  }
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_REGISTERS_H_
