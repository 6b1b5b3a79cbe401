// "Checks on Guest Segment Registers", of an unrestricted guest in 64-bit mode
// and of one in virtual-8086 mode.

#include "backends/vmx_intel/native/vmx_check_cases.h"

namespace worldswitch {
namespace {

using enum VmcsField;
using namespace vmx_check;  // NOLINT: the tables' own words

constexpr std::uint64_t Bit(unsigned bit) { return std::uint64_t{1} << bit; }

constexpr VmxCheckCase Case(const char* name, VmxCheckWrite w0,
                            VmxCheckWrite w1 = {}, VmxCheckWrite w2 = {},
                            VmxCheckWrite w3 = {}) {
  return {.name = name,
          .guest = VmxCheckGuest::kLong,
          .expected = BadGuestState(),
          .writes = {w0, w1, w2, w3}};
}

// Access rights.
constexpr std::uint64_t kType = 0xf;
constexpr std::uint64_t kAccessed = 1;
constexpr std::uint64_t kNotSystem = Bit(4);
constexpr std::uint64_t kDpl3 = 3 << 5;
constexpr std::uint64_t kPresent = Bit(7);
constexpr std::uint64_t kReserved = Bit(8);
constexpr std::uint64_t kBig = Bit(14);
constexpr std::uint64_t kGranular = Bit(15);
constexpr std::uint64_t kUnusable = Bit(16);
constexpr std::uint64_t kReservedHigh = Bit(17);
constexpr std::uint64_t kUpperHalf = Bit(32);
constexpr std::uint64_t kTableIndicator = 4;

// A data segment's register.
#define WS_DATA_CASES(name, Register)                               \
  Case("segment." name ".not_accessed",                             \
       ClearBits(kGuest##Register##AccessRights, kAccessed)),       \
      Case("segment." name ".system",                               \
           ClearBits(kGuest##Register##AccessRights, kNotSystem)),  \
      Case("segment." name ".not_present",                          \
           ClearBits(kGuest##Register##AccessRights, kPresent)),    \
      Case("segment." name ".reserved",                             \
           SetBits(kGuest##Register##AccessRights, kReserved)),     \
      Case("segment." name ".reserved_high",                        \
           SetBits(kGuest##Register##AccessRights, kReservedHigh)), \
      Case("segment." name ".limit_without_granularity",            \
           ClearBits(kGuest##Register##AccessRights, kGranular)),   \
      Case("segment." name ".granularity_without_limit",            \
           ClearBits(kGuest##Register##Limit, 0xff))

constexpr VmxCheckCase V86(const char* name, VmxCheckWrite wrong) {
  return {.name = name,
          .guest = VmxCheckGuest::kVirtual8086,
          .expected = BadGuestState(),
          .writes = {wrong}};
}

constexpr VmxCheckCase kCases[] = {
    WS_DATA_CASES("ds", Ds),
    WS_DATA_CASES("es", Es),
    WS_DATA_CASES("fs", Fs),
    WS_DATA_CASES("gs", Gs),
    Case("segment.ds.code_not_readable", ClearBits(kGuestDsAccessRights, kType),
         SetBits(kGuestDsAccessRights, 9)),
    Case("segment.ds.base_upper_half", SetBits(kGuestDsBase, kUpperHalf)),
    Case("segment.es.base_upper_half", SetBits(kGuestEsBase, kUpperHalf)),
    Case("segment.fs.base_not_canonical", Set(kGuestFsBase, kNotCanonical)),
    Case("segment.gs.base_not_canonical", Set(kGuestGsBase, kNotCanonical)),

    Case("segment.cs.type", ClearBits(kGuestCsAccessRights, kType),
         SetBits(kGuestCsAccessRights, 8)),
    Case("segment.cs.system", ClearBits(kGuestCsAccessRights, kNotSystem)),
    Case("segment.cs.dpl_not_of_ss", SetBits(kGuestCsAccessRights, kDpl3)),
    Case("segment.cs.conforming_above_ss",
         SetBits(kGuestCsAccessRights, kDpl3 | 4)),
    Case("segment.cs.not_present", ClearBits(kGuestCsAccessRights, kPresent)),
    Case("segment.cs.reserved", SetBits(kGuestCsAccessRights, kReserved)),
    Case("segment.cs.long_and_big", SetBits(kGuestCsAccessRights, kBig)),
    Case("segment.cs.limit_without_granularity",
         ClearBits(kGuestCsAccessRights, kGranular)),
    Case("segment.cs.granularity_without_limit",
         ClearBits(kGuestCsLimit, 0xff)),
    Case("segment.cs.base_upper_half", SetBits(kGuestCsBase, kUpperHalf)),

    Case("segment.ss.type", ClearBits(kGuestSsAccessRights, kType),
         SetBits(kGuestSsAccessRights, 1)),
    Case("segment.ss.system", ClearBits(kGuestSsAccessRights, kNotSystem)),
    Case("segment.ss.not_present", ClearBits(kGuestSsAccessRights, kPresent)),
    Case("segment.ss.reserved", SetBits(kGuestSsAccessRights, kReserved)),
    Case("segment.ss.limit_without_granularity",
         ClearBits(kGuestSsAccessRights, kGranular)),
    Case("segment.ss.base_upper_half", SetBits(kGuestSsBase, kUpperHalf)),
    Case("segment.ss.dpl_in_real_mode_code",
         ClearBits(kGuestCsAccessRights, kType | Bit(13)),
         SetBits(kGuestCsAccessRights, 3),
         SetBits(kGuestSsAccessRights, kDpl3)),

    Case("segment.tr.unusable", SetBits(kGuestTrAccessRights, kUnusable)),
    Case("segment.tr.ti", SetBits(kGuestTrSelector, kTableIndicator)),
    Case("segment.tr.not_busy", ClearBits(kGuestTrAccessRights, 2)),
    Case("segment.tr.16_bit_in_long_mode",
         ClearBits(kGuestTrAccessRights, kType),
         SetBits(kGuestTrAccessRights, 3)),
    Case("segment.tr.not_system", SetBits(kGuestTrAccessRights, kNotSystem)),
    Case("segment.tr.not_present", ClearBits(kGuestTrAccessRights, kPresent)),
    Case("segment.tr.reserved", SetBits(kGuestTrAccessRights, kReserved)),
    Case("segment.tr.granularity_without_limit",
         SetBits(kGuestTrAccessRights, kGranular), Set(kGuestTrLimit, 0x67)),
    Case("segment.tr.limit_without_granularity", Set(kGuestTrLimit, 0x100067)),
    Case("segment.tr.base_not_canonical", Set(kGuestTrBase, kNotCanonical)),

    Case("segment.ldtr.ti", Set(kGuestLdtrAccessRights, 0x82),
         SetBits(kGuestLdtrSelector, kTableIndicator)),
    Case("segment.ldtr.type", Set(kGuestLdtrAccessRights, 0x83)),
    Case("segment.ldtr.not_system", Set(kGuestLdtrAccessRights, 0x92)),
    Case("segment.ldtr.not_present", Set(kGuestLdtrAccessRights, 0x02)),
    Case("segment.ldtr.reserved", Set(kGuestLdtrAccessRights, 0x182)),
    Case("segment.ldtr.granularity_without_limit",
         Set(kGuestLdtrAccessRights, 0x8082), Set(kGuestLdtrLimit, 0x67)),
    Case("segment.ldtr.base_not_canonical", Set(kGuestLdtrAccessRights, 0x82),
         Set(kGuestLdtrBase, kNotCanonical)),

    V86("segment.v86.cs_rights", Set(kGuestCsAccessRights, 0x9b)),
    V86("segment.v86.ds_rights", Set(kGuestDsAccessRights, 0x93)),
    V86("segment.v86.ss_base", SetBits(kGuestSsBase, 0x100)),
    V86("segment.v86.es_base", Set(kGuestEsBase, 0x10)),
    V86("segment.v86.gs_limit", Set(kGuestGsLimit, 0xfffe)),
};

}  // namespace

std::span<const VmxCheckCase> VmxSegmentCases() { return kCases; }

}  // namespace worldswitch
