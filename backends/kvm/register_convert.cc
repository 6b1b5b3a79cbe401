#include "backends/kvm/register_convert.h"

#include <cstdint>

namespace worldswitch {
namespace {

// Bits of Segment::access_rights (SDM 3C, "Guest Register State").
constexpr unsigned kType = 0;
constexpr unsigned kS = 4;
constexpr unsigned kDpl = 5;
constexpr unsigned kPresent = 7;
constexpr unsigned kAvl = 12;
constexpr unsigned kL = 13;
constexpr unsigned kDb = 14;
constexpr unsigned kG = 15;
constexpr unsigned kUnusable = 16;

Segment FromKvm(const kvm_segment& from) {
  const auto bits = [](std::uint32_t value, unsigned shift) {
    return value << shift;
  };
  return {.base = from.base,
          .limit = from.limit,
          .access_rights = bits(from.type & 15u, kType) |
                           bits(from.s & 1u, kS) | bits(from.dpl & 3u, kDpl) |
                           bits(from.present & 1u, kPresent) |
                           bits(from.avl & 1u, kAvl) | bits(from.l & 1u, kL) |
                           bits(from.db & 1u, kDb) | bits(from.g & 1u, kG) |
                           bits(from.unusable & 1u, kUnusable),
          .selector = from.selector};
}

kvm_segment ToKvm(const Segment& from) {
  const auto bits = [&from](unsigned shift, unsigned mask) {
    return static_cast<__u8>((from.access_rights >> shift) & mask);
  };
  kvm_segment to = {};
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = bits(kType, 15);
  to.s = bits(kS, 1);
  to.dpl = bits(kDpl, 3);
  to.present = bits(kPresent, 1);
  to.avl = bits(kAvl, 1);
  to.l = bits(kL, 1);
  to.db = bits(kDb, 1);
  to.g = bits(kG, 1);
  to.unusable = bits(kUnusable, 1);
  return to;
}

kvm_dtable ToKvm(const DescriptorTable& from) {
  kvm_dtable to = {};
  to.base = from.base;
  to.limit = from.limit;
  return to;
}

}  // namespace

void FromKvm(const kvm_sregs& from, SpecialRegisters* to) {
  to->cs = FromKvm(from.cs);
  to->ds = FromKvm(from.ds);
  to->es = FromKvm(from.es);
  to->fs = FromKvm(from.fs);
  to->gs = FromKvm(from.gs);
  to->ss = FromKvm(from.ss);
  to->tr = FromKvm(from.tr);
  to->ldtr = FromKvm(from.ldt);
  to->gdtr = {.base = from.gdt.base, .limit = from.gdt.limit};
  to->idtr = {.base = from.idt.base, .limit = from.idt.limit};
  to->cr0 = from.cr0;
  to->cr2 = from.cr2;
  to->cr3 = from.cr3;
  to->cr4 = from.cr4;
  to->cr8 = from.cr8;
  to->efer = from.efer;
  to->apic_base = from.apic_base;
}

void ToKvm(const SpecialRegisters& from, kvm_sregs* to) {
  *to = {};
  to->cs = ToKvm(from.cs);
  to->ds = ToKvm(from.ds);
  to->es = ToKvm(from.es);
  to->fs = ToKvm(from.fs);
  to->gs = ToKvm(from.gs);
  to->ss = ToKvm(from.ss);
  to->tr = ToKvm(from.tr);
  to->ldt = ToKvm(from.ldtr);
  to->gdt = ToKvm(from.gdtr);
  to->idt = ToKvm(from.idtr);
  to->cr0 = from.cr0;
  to->cr2 = from.cr2;
  to->cr3 = from.cr3;
  to->cr4 = from.cr4;
  to->cr8 = from.cr8;
  to->efer = from.efer;
  to->apic_base = from.apic_base;
}

}  // namespace worldswitch
