// "Checks on Host Control Registers, MSRs, and SSP", "Checks on Host Segment
// and Descriptor-Table Registers", "Checks Related to Address-Space Size":
// VMfailValid 8.

#include "backends/vmx_intel/native/vmx_check_cases.h"
#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {
namespace {

using enum VmcsField;
using namespace vmx_check;  // NOLINT: the tables' own words

constexpr std::uint64_t Bit(unsigned bit) { return std::uint64_t{1} << bit; }

constexpr VmxCheckCase Case(const char* name, VmxCheckWrite w0,
                            VmxCheckWrite w1 = {}, VmxCheckWrite w2 = {}) {
  return {.name = name, .expected = kBadHostState, .writes = {w0, w1, w2}};
}

constexpr VmxCheckCase kCases[] = {
    Case("host.cr0.pe_clear", ClearBits(kHostCr0, Bit(0))),
    Case("host.cr0.ne_clear", ClearBits(kHostCr0, Bit(5))),
    Case("host.cr0.pg_clear", ClearBits(kHostCr0, Bit(31))),
    Case("host.cr3.beyond_memory", Write(kHostCr3, How::kBeyondMemory)),
    Case("host.cr4.vmxe_clear", ClearBits(kHostCr4, Bit(13))),
    Case("host.cr4.reserved", SetBits(kHostCr4, Bit(31))),
    Case("host.cr4.pae_clear", ClearBits(kHostCr4, Bit(5))),
    Case("host.sysenter_esp.not_canonical",
         Set(kHostSysenterEsp, kNotCanonical)),
    Case("host.sysenter_eip.not_canonical",
         Set(kHostSysenterEip, kNotCanonical)),
    Case("host.pat.reserved_type",
         SetBits(kExitControls, Bit(vmx::kExitLoadPat)), Set(kHostPat, 2)),
    Case("host.efer.reserved", SetBits(kExitControls, Bit(vmx::kExitLoadEfer)),
         SetBits(kHostEfer, Bit(1))),
    Case("host.efer.lma_clear", SetBits(kExitControls, Bit(vmx::kExitLoadEfer)),
         ClearBits(kHostEfer, Bit(10))),
    Case("host.efer.lme_clear", SetBits(kExitControls, Bit(vmx::kExitLoadEfer)),
         ClearBits(kHostEfer, Bit(8))),
    Case("host.es.rpl", SetBits(kHostEsSelector, 1)),
    Case("host.es.ti", SetBits(kHostEsSelector, 4)),
    Case("host.cs.rpl", SetBits(kHostCsSelector, 3)),
    Case("host.cs.ti", SetBits(kHostCsSelector, 4)),
    Case("host.ss.rpl", SetBits(kHostSsSelector, 2)),
    Case("host.ss.ti", SetBits(kHostSsSelector, 4)),
    Case("host.ds.rpl", SetBits(kHostDsSelector, 1)),
    Case("host.ds.ti", SetBits(kHostDsSelector, 4)),
    Case("host.fs.rpl", SetBits(kHostFsSelector, 1)),
    Case("host.fs.ti", SetBits(kHostFsSelector, 4)),
    Case("host.gs.rpl", SetBits(kHostGsSelector, 1)),
    Case("host.gs.ti", SetBits(kHostGsSelector, 4)),
    Case("host.tr.rpl", SetBits(kHostTrSelector, 1)),
    Case("host.tr.ti", SetBits(kHostTrSelector, 4)),
    Case("host.cs.null", Set(kHostCsSelector, 0)),
    Case("host.tr.null", Set(kHostTrSelector, 0)),
    Case("host.fs_base.not_canonical", Set(kHostFsBase, kNotCanonical)),
    Case("host.gs_base.not_canonical", Set(kHostGsBase, kNotCanonical)),
    Case("host.tr_base.not_canonical", Set(kHostTrBase, kNotCanonical)),
    Case("host.gdtr_base.not_canonical", Set(kHostGdtrBase, kNotCanonical)),
    Case("host.idtr_base.not_canonical", Set(kHostIdtrBase, kNotCanonical)),
    Case("host.rip.not_canonical", Set(kHostRip, kNotCanonical)),
    Case("host.address_space.32_bit_from_64",
         ClearBits(kExitControls, Bit(vmx::kExitHost64))),
};

}  // namespace

std::span<const VmxCheckCase> VmxHostCases() { return kCases; }

}  // namespace worldswitch
