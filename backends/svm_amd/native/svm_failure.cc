#include "backends/svm_amd/native/svm_failure.h"

#include "backends/svm_amd/svm_exit_code.h"
#include "core/text_line.h"

namespace worldswitch::svm {
namespace {

#define WS_CONTROL(name, member)                                      \
  {                                                                   \
    name, static_cast<std::uint16_t>(offsetof(Vmcb, control.member)), \
        sizeof(VmcbControl::member)                                   \
  }
#define WS_SAVE(name, member)                                      \
  {                                                                \
    name, static_cast<std::uint16_t>(offsetof(Vmcb, save.member)), \
        sizeof(VmcbSave::member)                                   \
  }
#define WS_SEGMENT(name, member)                                               \
  {name ".selector",                                                           \
   static_cast<std::uint16_t>(offsetof(Vmcb, save.member.selector)), 2},       \
      {name ".attrib",                                                         \
       static_cast<std::uint16_t>(offsetof(Vmcb, save.member.attributes)), 2}, \
      {name ".limit",                                                          \
       static_cast<std::uint16_t>(offsetof(Vmcb, save.member.limit)), 4},      \
  {                                                                            \
    name ".base",                                                              \
        static_cast<std::uint16_t>(offsetof(Vmcb, save.member.base)), 8        \
  }

constexpr VmcbField kFields[] = {
    WS_CONTROL("intercept CR reads", cr_read_intercepts),
    WS_CONTROL("intercept CR writes", cr_write_intercepts),
    WS_CONTROL("intercept DR reads", dr_read_intercepts),
    WS_CONTROL("intercept DR writes", dr_write_intercepts),
    WS_CONTROL("intercept exceptions", exception_intercepts),
    WS_CONTROL("intercepts 00Ch", intercepts1),
    WS_CONTROL("intercepts 010h", intercepts2),
    WS_CONTROL("intercepts 014h", intercepts3),
    WS_CONTROL("PAUSE filter threshold", pause_filter_threshold),
    WS_CONTROL("PAUSE filter count", pause_filter_count),
    WS_CONTROL("IOPM_BASE_PA", iopm_base_pa),
    WS_CONTROL("MSRPM_BASE_PA", msrpm_base_pa),
    WS_CONTROL("TSC_OFFSET", tsc_offset),
    WS_CONTROL("guest ASID", guest_asid),
    WS_CONTROL("TLB_CONTROL", tlb_control),
    WS_CONTROL("V_TPR, V_IRQ, V_INTR", virtual_interrupt),
    WS_CONTROL("V_INTR_VECTOR", virtual_interrupt_vector),
    WS_CONTROL("INTERRUPT_SHADOW", interrupt_shadow),
    WS_CONTROL("EXITCODE", exit_code),
    WS_CONTROL("EXITINFO1", exit_info1),
    WS_CONTROL("EXITINFO2", exit_info2),
    WS_CONTROL("EXITINTINFO", exit_int_info),
    WS_CONTROL("NP_ENABLE", nested_control),
    WS_CONTROL("AVIC APIC_BAR", avic_apic_bar),
    WS_CONTROL("GHCB", ghcb_pa),
    WS_CONTROL("EVENTINJ", event_injection),
    WS_CONTROL("N_CR3", nested_cr3),
    WS_CONTROL("LBR_VIRTUALIZATION", lbr_control),
    WS_CONTROL("VMCB clean bits", clean),
    WS_CONTROL("nRIP", next_rip),
    WS_CONTROL("bytes fetched", instruction_byte_count),
    WS_CONTROL("AVIC APIC_BACKING_PAGE", avic_backing_page),
    WS_CONTROL("AVIC LOGICAL_TABLE", avic_logical_table),
    WS_CONTROL("AVIC PHYSICAL_TABLE", avic_physical_table),
    WS_SEGMENT("ES", es),
    WS_SEGMENT("CS", cs),
    WS_SEGMENT("SS", ss),
    WS_SEGMENT("DS", ds),
    WS_SEGMENT("FS", fs),
    WS_SEGMENT("GS", gs),
    WS_SEGMENT("GDTR", gdtr),
    WS_SEGMENT("LDTR", ldtr),
    WS_SEGMENT("IDTR", idtr),
    WS_SEGMENT("TR", tr),
    WS_SAVE("CPL", cpl),
    WS_SAVE("EFER", efer),
    WS_SAVE("CR4", cr4),
    WS_SAVE("CR3", cr3),
    WS_SAVE("CR0", cr0),
    WS_SAVE("DR7", dr7),
    WS_SAVE("DR6", dr6),
    WS_SAVE("RFLAGS", rflags),
    WS_SAVE("RIP", rip),
    WS_SAVE("RSP", rsp),
    WS_SAVE("S_CET", s_cet),
    WS_SAVE("SSP", ssp),
    WS_SAVE("ISST_ADDR", isst_address),
    WS_SAVE("RAX", rax),
    WS_SAVE("STAR", star),
    WS_SAVE("LSTAR", lstar),
    WS_SAVE("CSTAR", cstar),
    WS_SAVE("SFMASK", sfmask),
    WS_SAVE("KernelGsBase", kernel_gs_base),
    WS_SAVE("SYSENTER_CS", sysenter_cs),
    WS_SAVE("SYSENTER_ESP", sysenter_esp),
    WS_SAVE("SYSENTER_EIP", sysenter_eip),
    WS_SAVE("CR2", cr2),
    WS_SAVE("G_PAT", g_pat),
    WS_SAVE("DBGCTL", debug_control),
    WS_SAVE("BR_FROM", branch_from),
    WS_SAVE("BR_TO", branch_to),
    WS_SAVE("LASTEXCPFROM", exception_from),
    WS_SAVE("LASTEXCPTO", exception_to),
};

#undef WS_CONTROL
#undef WS_SAVE
#undef WS_SEGMENT

constexpr std::size_t kNameColumn = 26;

// Those of appendix C that tell of a refused entry.
const char* NameOf(std::uint64_t exit_code) {
  switch (static_cast<SvmExitCode>(NormalSvmExitCode(exit_code))) {
    case SvmExitCode::kInvalid:
      return "VMEXIT_INVALID";
    case SvmExitCode::kBusy:
      return "VMEXIT_BUSY";
    case SvmExitCode::kIdleRequired:
      return "VMEXIT_IDLE_REQUIRED";
    case SvmExitCode::kInvalidPmc:
      return "VMEXIT_INVALID_PMC";
    default:
      return "an exit that is no refusal";
  }
}

}  // namespace

VmcbFields AllVmcbFields() {
  return {.begin_ = kFields, .size_ = sizeof(kFields) / sizeof(kFields[0])};
}

std::uint64_t ReadVmcbField(const Vmcb& vmcb, const VmcbField& field) {
  std::uint64_t value = 0;
  __builtin_memcpy(&value,
                   reinterpret_cast<const std::uint8_t*>(&vmcb) + field.offset,
                   field.bytes);
  return value;
}

void DumpVmcb(const Vmcb& vmcb, const SvmFailure& failure,
              const SvmLimits& limits, const HostServices& host) {
  if (failure.kind != SvmFailure::Kind::kNone) {
    host.log(host.context, TextLine()
                               .Append("VMRUN refused: ")
                               .Append(NameOf(failure.exit_code))
                               .Append(", EXITCODE ")
                               .AppendHex(failure.exit_code, 16)
                               .c_str());
    bool any = false;
    for (const SvmStateRule& rule : AllSvmStateRules()) {
      if (!rule.is_broken(vmcb, limits)) continue;
      any = true;
      host.log(host.context, TextLine()
                                 .Append("  broken: ")
                                 .Append(rule.name)
                                 .Append(": ")
                                 .Append(rule.text)
                                 .c_str());
    }
    if (!any) {
      host.log(host.context, "  broken: no rule that is known here");
    }
  }
  for (const VmcbField& field : AllVmcbFields()) {
    host.log(host.context,
             TextLine()
                 .Append("  ")
                 .AppendHex(field.offset, 3)
                 .Append(" ")
                 .Append(field.name)
                 .PadTo(kNameColumn + 8)
                 .AppendHex(ReadVmcbField(vmcb, field), field.bytes * 2)
                 .c_str());
  }
}

}  // namespace worldswitch::svm
