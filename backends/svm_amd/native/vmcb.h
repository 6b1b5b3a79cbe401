// The VMCB: two areas in one page (APM 2, appendix B), and what its words hold.
//
//   vmcb.save.rip = vmcb.control.next_rip;
//
// The layout is the processor's: every offset is checked at the end. In the
// order of the manual. Freestanding: types and constants.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_VMCB_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_VMCB_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::svm {

struct VmcbControl {
  std::uint16_t cr_read_intercepts;    // 000, bit n: CRn
  std::uint16_t cr_write_intercepts;   // 002
  std::uint16_t dr_read_intercepts;    // 004, bit n: DRn
  std::uint16_t dr_write_intercepts;   // 006
  std::uint32_t exception_intercepts;  // 008, by vector
  std::uint32_t intercepts1;           // 00C, SvmIntercept1
  std::uint32_t intercepts2;           // 010, SvmIntercept2
  std::uint32_t intercepts3;           // 014, SvmIntercept3
  std::uint8_t reserved_018[0x3C - 0x18];
  std::uint16_t pause_filter_threshold;  // 03C, cycles
  std::uint16_t pause_filter_count;      // 03E
  std::uint64_t iopm_base_pa;            // 040
  std::uint64_t msrpm_base_pa;           // 048
  std::uint64_t tsc_offset;              // 050
  std::uint32_t guest_asid;              // 058
  std::uint8_t tlb_control;              // 05C, SvmTlbControl
  std::uint8_t reserved_05d[3];
  std::uint32_t virtual_interrupt;         // 060, SvmVirtualInterrupt
  std::uint32_t virtual_interrupt_vector;  // 064, bits 7:0
  std::uint64_t interrupt_shadow;          // 068, SvmInterruptShadow
  std::uint64_t exit_code;                 // 070
  std::uint64_t exit_info1;                // 078
  std::uint64_t exit_info2;                // 080
  std::uint64_t exit_int_info;             // 088, SvmInterruption
  std::uint64_t nested_control;            // 090, SvmNestedControl
  std::uint64_t avic_apic_bar;             // 098
  std::uint64_t ghcb_pa;                   // 0A0
  std::uint64_t event_injection;           // 0A8, SvmInterruption
  std::uint64_t nested_cr3;                // 0B0
  std::uint64_t lbr_control;               // 0B8
  std::uint32_t clean;                     // 0C0, SvmClean
  std::uint32_t reserved_0c4;
  std::uint64_t next_rip;               // 0C8, with NRIPS
  std::uint8_t instruction_byte_count;  // 0D0, with decode assists
  std::uint8_t instruction_bytes[15];   // 0D1
  std::uint64_t avic_backing_page;      // 0E0
  std::uint64_t reserved_0e8;
  std::uint64_t avic_logical_table;   // 0F0
  std::uint64_t avic_physical_table;  // 0F8
  std::uint8_t reserved_100[0x400 - 0x100];
};

struct VmcbSegment {
  std::uint16_t selector;
  std::uint16_t attributes;  // svm_segments.h
  std::uint32_t limit;
  std::uint64_t base;
};

struct VmcbSave {
  VmcbSegment es, cs, ss, ds, fs, gs;  // 400, 410, ...
  VmcbSegment gdtr, ldtr, idtr, tr;    // 460, 470, 480, 490
  std::uint8_t reserved_4a0[0x4CB - 0x4A0];
  std::uint8_t cpl;  // 4CB
  std::uint32_t reserved_4cc;
  std::uint64_t efer;  // 4D0
  std::uint8_t reserved_4d8[0x548 - 0x4D8];
  std::uint64_t cr4;     // 548
  std::uint64_t cr3;     // 550
  std::uint64_t cr0;     // 558
  std::uint64_t dr7;     // 560
  std::uint64_t dr6;     // 568
  std::uint64_t rflags;  // 570
  std::uint64_t rip;     // 578
  std::uint8_t reserved_580[0x5D8 - 0x580];
  std::uint64_t rsp;             // 5D8
  std::uint64_t s_cet;           // 5E0
  std::uint64_t ssp;             // 5E8
  std::uint64_t isst_address;    // 5F0
  std::uint64_t rax;             // 5F8
  std::uint64_t star;            // 600
  std::uint64_t lstar;           // 608
  std::uint64_t cstar;           // 610
  std::uint64_t sfmask;          // 618
  std::uint64_t kernel_gs_base;  // 620
  std::uint64_t sysenter_cs;     // 628
  std::uint64_t sysenter_esp;    // 630
  std::uint64_t sysenter_eip;    // 638
  std::uint64_t cr2;             // 640
  std::uint8_t reserved_648[0x668 - 0x648];
  std::uint64_t g_pat;           // 668
  std::uint64_t debug_control;   // 670
  std::uint64_t branch_from;     // 678
  std::uint64_t branch_to;       // 680
  std::uint64_t exception_from;  // 688
  std::uint64_t exception_to;    // 690
  std::uint8_t reserved_698[0x1000 - 0x698];
};

struct Vmcb {
  VmcbControl control;
  VmcbSave save;
};

// VMCB 00C.
struct SvmIntercept1 {
  static constexpr std::uint32_t kIntr = 1u << 0;
  static constexpr std::uint32_t kNmi = 1u << 1;
  static constexpr std::uint32_t kSmi = 1u << 2;
  static constexpr std::uint32_t kInit = 1u << 3;
  static constexpr std::uint32_t kVintr = 1u << 4;
  static constexpr std::uint32_t kRdtsc = 1u << 14;
  static constexpr std::uint32_t kRdpmc = 1u << 15;
  static constexpr std::uint32_t kPushf = 1u << 16;
  static constexpr std::uint32_t kPopf = 1u << 17;
  static constexpr std::uint32_t kCpuid = 1u << 18;
  static constexpr std::uint32_t kRsm = 1u << 19;
  static constexpr std::uint32_t kIret = 1u << 20;
  static constexpr std::uint32_t kInvd = 1u << 22;
  static constexpr std::uint32_t kPause = 1u << 23;
  static constexpr std::uint32_t kHlt = 1u << 24;
  static constexpr std::uint32_t kInvlpg = 1u << 25;
  static constexpr std::uint32_t kInvlpga = 1u << 26;
  static constexpr std::uint32_t kIoio = 1u << 27;
  static constexpr std::uint32_t kMsr = 1u << 28;
  static constexpr std::uint32_t kShutdown = 1u << 31;
};

// VMCB 010.
struct SvmIntercept2 {
  static constexpr std::uint32_t kVmrun = 1u << 0;
  static constexpr std::uint32_t kVmmcall = 1u << 1;
  static constexpr std::uint32_t kVmload = 1u << 2;
  static constexpr std::uint32_t kVmsave = 1u << 3;
  static constexpr std::uint32_t kStgi = 1u << 4;
  static constexpr std::uint32_t kClgi = 1u << 5;
  static constexpr std::uint32_t kSkinit = 1u << 6;
  static constexpr std::uint32_t kRdtscp = 1u << 7;
  static constexpr std::uint32_t kWbinvd = 1u << 9;
  static constexpr std::uint32_t kMonitor = 1u << 10;
  static constexpr std::uint32_t kMwait = 1u << 11;
  static constexpr std::uint32_t kMwaitArmed = 1u << 12;
  static constexpr std::uint32_t kXsetbv = 1u << 13;
};

// VMCB 05C.
struct SvmTlbControl {
  static constexpr std::uint8_t kNone = 0;
  static constexpr std::uint8_t kAll = 1;
  static constexpr std::uint8_t kThisAsid = 3;  // with FlushByAsid
};

// VMCB 060.
struct SvmVirtualInterrupt {
  static constexpr std::uint32_t kTprMask = 0xF;  // bits 3:0 are CR8
  static constexpr std::uint32_t kIrq = 1u << 8;
  static constexpr std::uint32_t kHighestPriority = 0xFu << 16;
  static constexpr std::uint32_t kIgnoreTpr = 1u << 20;
  static constexpr std::uint32_t kMasking = 1u << 24;
};

// VMCB 068.
struct SvmInterruptShadow {
  static constexpr std::uint64_t kShadow = 1;
};

// VMCB 090.
struct SvmNestedControl {
  static constexpr std::uint64_t kNestedPaging = 1;
};

// VMCB 0C0: a set bit tells the processor that the group is as it left it.
struct SvmClean {
  static constexpr std::uint32_t kIntercepts = 1u
                                               << 0;  // TSC offset, pause too
  static constexpr std::uint32_t kPermissionMaps = 1u << 1;
  static constexpr std::uint32_t kAsid = 1u << 2;
  static constexpr std::uint32_t kVirtualInterrupt = 1u << 3;
  static constexpr std::uint32_t kNestedPaging = 1u << 4;
  static constexpr std::uint32_t kControlRegisters = 1u << 5;  // EFER too
  static constexpr std::uint32_t kDebugRegisters = 1u << 6;
  static constexpr std::uint32_t kDescriptorTables = 1u << 7;
  static constexpr std::uint32_t kSegments = 1u << 8;  // CPL too
  static constexpr std::uint32_t kCr2 = 1u << 9;
  static constexpr std::uint32_t kAll = 0x3FF;
};

// EFER, CR0, CR4 and RFLAGS, as far as the backend looks at them.
inline constexpr std::uint64_t kEferLme = 1u << 8;
inline constexpr std::uint64_t kEferLma = 1u << 10;
inline constexpr std::uint64_t kEferNxe = 1u << 11;
inline constexpr std::uint64_t kEferSvme = 1u << 12;
inline constexpr std::uint64_t kCr0Pe = 1u << 0;
inline constexpr std::uint64_t kCr0Et = 1u << 4;
inline constexpr std::uint64_t kCr0Nw = 1u << 29;
inline constexpr std::uint64_t kCr0Cd = 1u << 30;
inline constexpr std::uint64_t kCr0Pg = 1u << 31;
inline constexpr std::uint64_t kCr4Pae = 1u << 5;
inline constexpr std::uint64_t kRflagsFixed = 1u << 1;
inline constexpr std::uint64_t kRflagsTf = 1u << 8;
inline constexpr std::uint64_t kRflagsIf = 1u << 9;
inline constexpr std::uint64_t kRflagsRf = 1u << 16;
inline constexpr std::uint64_t kRflagsVm = 1u << 17;
inline constexpr std::uint64_t kDr6Reset = 0xFFFF0FF0;
inline constexpr std::uint64_t kDr7Reset = 0x400;
inline constexpr std::uint64_t kPatReset = 0x0007040600070406;

static_assert(sizeof(Vmcb) == 0x1000);
#define WS_VMCB_AT(field, offset) \
  static_assert(offsetof(Vmcb, field) == (offset))
WS_VMCB_AT(control.cr_read_intercepts, 0x000);
WS_VMCB_AT(control.cr_write_intercepts, 0x002);
WS_VMCB_AT(control.dr_read_intercepts, 0x004);
WS_VMCB_AT(control.dr_write_intercepts, 0x006);
WS_VMCB_AT(control.exception_intercepts, 0x008);
WS_VMCB_AT(control.intercepts1, 0x00C);
WS_VMCB_AT(control.intercepts2, 0x010);
WS_VMCB_AT(control.intercepts3, 0x014);
WS_VMCB_AT(control.pause_filter_threshold, 0x03C);
WS_VMCB_AT(control.pause_filter_count, 0x03E);
WS_VMCB_AT(control.iopm_base_pa, 0x040);
WS_VMCB_AT(control.msrpm_base_pa, 0x048);
WS_VMCB_AT(control.tsc_offset, 0x050);
WS_VMCB_AT(control.guest_asid, 0x058);
WS_VMCB_AT(control.tlb_control, 0x05C);
WS_VMCB_AT(control.virtual_interrupt, 0x060);
WS_VMCB_AT(control.virtual_interrupt_vector, 0x064);
WS_VMCB_AT(control.interrupt_shadow, 0x068);
WS_VMCB_AT(control.exit_code, 0x070);
WS_VMCB_AT(control.exit_info1, 0x078);
WS_VMCB_AT(control.exit_info2, 0x080);
WS_VMCB_AT(control.exit_int_info, 0x088);
WS_VMCB_AT(control.nested_control, 0x090);
WS_VMCB_AT(control.avic_apic_bar, 0x098);
WS_VMCB_AT(control.ghcb_pa, 0x0A0);
WS_VMCB_AT(control.event_injection, 0x0A8);
WS_VMCB_AT(control.nested_cr3, 0x0B0);
WS_VMCB_AT(control.lbr_control, 0x0B8);
WS_VMCB_AT(control.clean, 0x0C0);
WS_VMCB_AT(control.next_rip, 0x0C8);
WS_VMCB_AT(control.instruction_byte_count, 0x0D0);
WS_VMCB_AT(control.instruction_bytes, 0x0D1);
WS_VMCB_AT(control.avic_backing_page, 0x0E0);
WS_VMCB_AT(control.avic_logical_table, 0x0F0);
WS_VMCB_AT(control.avic_physical_table, 0x0F8);
WS_VMCB_AT(save.es, 0x400);
WS_VMCB_AT(save.cs, 0x410);
WS_VMCB_AT(save.ss, 0x420);
WS_VMCB_AT(save.ds, 0x430);
WS_VMCB_AT(save.fs, 0x440);
WS_VMCB_AT(save.gs, 0x450);
WS_VMCB_AT(save.gdtr, 0x460);
WS_VMCB_AT(save.ldtr, 0x470);
WS_VMCB_AT(save.idtr, 0x480);
WS_VMCB_AT(save.tr, 0x490);
WS_VMCB_AT(save.cpl, 0x4CB);
WS_VMCB_AT(save.efer, 0x4D0);
WS_VMCB_AT(save.cr4, 0x548);
WS_VMCB_AT(save.cr3, 0x550);
WS_VMCB_AT(save.cr0, 0x558);
WS_VMCB_AT(save.dr7, 0x560);
WS_VMCB_AT(save.dr6, 0x568);
WS_VMCB_AT(save.rflags, 0x570);
WS_VMCB_AT(save.rip, 0x578);
WS_VMCB_AT(save.rsp, 0x5D8);
WS_VMCB_AT(save.s_cet, 0x5E0);
WS_VMCB_AT(save.ssp, 0x5E8);
WS_VMCB_AT(save.isst_address, 0x5F0);
WS_VMCB_AT(save.rax, 0x5F8);
WS_VMCB_AT(save.star, 0x600);
WS_VMCB_AT(save.lstar, 0x608);
WS_VMCB_AT(save.cstar, 0x610);
WS_VMCB_AT(save.sfmask, 0x618);
WS_VMCB_AT(save.kernel_gs_base, 0x620);
WS_VMCB_AT(save.sysenter_cs, 0x628);
WS_VMCB_AT(save.sysenter_esp, 0x630);
WS_VMCB_AT(save.sysenter_eip, 0x638);
WS_VMCB_AT(save.cr2, 0x640);
WS_VMCB_AT(save.g_pat, 0x668);
WS_VMCB_AT(save.debug_control, 0x670);
WS_VMCB_AT(save.branch_from, 0x678);
WS_VMCB_AT(save.branch_to, 0x680);
WS_VMCB_AT(save.exception_from, 0x688);
WS_VMCB_AT(save.exception_to, 0x690);
#undef WS_VMCB_AT

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_VMCB_H_
