// The catalogue is complete and says how it proves what it claims.

#include <iterator>
#include <set>
#include <string>

#include "bench/host_calls.h"
#include "bench/scenario.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

TEST(CatalogueTest, NamesAreUniqueAndGrouped) {
  std::set<std::string> names;
  for (const Scenario& scenario : AllScenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
    EXPECT_THAT(scenario.name, HasSubstr("/"));
  }
  for (const char* wanted : {"control/empty",
                             "control/loop",
                             "control/immediate_exit",
                             "control/ioctl",
                             "control/getpid",
                             "kernel/cpuid",
                             "kernel/hypercall",
                             "kernel/rdmsr",
                             "kernel/wrmsr",
                             "kernel/mov_cr0",
                             "kernel/mov_cr3",
                             "kernel/mov_cr4",
                             "kernel/mov_cr8",
                             "kernel/mov_dr",
                             "kernel/wbinvd",
                             "kernel/pause",
                             "kernel/page_fault_first_touch",
                             "kernel/page_fault_refault",
                             "kernel/page_fault_write_protect",
                             "kernel/page_fault_huge",
                             "user/mmio_readonly_slot",
                             "user/dirty_ring_full",
                             "user/shutdown",
                             "kernel/xsetbv",
                             "kernel/emulated_instruction",
                             "kernel/cpuid_leaf",
                             "kernel/cpuid_leaf_4",
                             "kernel/cpuid_leaf_80000008",
                             "kernel/cpuid_leaf_absent",
                             "kernel/cpuid_table_size",
                             "user/rdmsr",
                             "user/wrmsr",
                             "user/hypercall",
                             "user/debug_step",
                             "user/debug_breakpoint",
                             "user/pio_in",
                             "user/pio_out",
                             "user/pio_string",
                             "user/mmio_read",
                             "user/mmio_write",
                             "user/hlt",
                             "user/irq_window",
                             "user/kick",
                             "user/registers_ioctl",
                             "user/registers_sync",
                             "irq/inject",
                             "irq/nmi",
                             "kernel/pio_in",
                             "kernel/pio_out",
                             "kernel/lapic_mmio",
                             "kernel/ioapic_mmio",
                             "kernel/ioeventfd_pio",
                             "kernel/ioeventfd_mmio",
                             "kernel/ioeventfd_mmio_fast",
                             "kernel/coalesced_pio",
                             "kernel/coalesced_mmio",
                             "fast/tscdeadline_write",
                             "fast/x2apic_icr",
                             "fast/hlt_pending",
                             "fast/preemption_timer",
                             "irq/inject_msi",
                             "irq/irqfd",
                             "irq/irqfd_to_handler",
                             "irq/self_ipi",
                             "irq/ipi",
                             "irq/ipi_halted",
                             "irq/hlt_wake_polled",
                             "irq/hlt_wake",
                             "irq/eoi",
                             "irq/timer_deadline",
                             "vcpu/migrate_cpu",
                             "vcpu/alternate_vms",
                             "vcpu/parallel_2",
                             "vcpu/parallel_cpus",
                             "native/cpuid",
                             "native/hypercall",
                             "native/rdmsr",
                             "native/wrmsr",
                             "native/mov_cr0",
                             "native/mov_cr3",
                             "native/mov_cr4",
                             "native/mov_cr8",
                             "native/mov_dr",
                             "native/xsetbv",
                             "native/pause",
                             "native/rdtsc",
                             "native/wbinvd",
                             "native/mmio_misconfig",
                             "native/page_fault_4k",
                             "native/page_fault_2m",
                             "native/page_fault_1g",
                             "native/preemption_timer"}) {
    EXPECT_EQ(names.count(wanted), 1u) << wanted;
  }
}

// The names that x86/vmexit.c of kvm-unit-tests prints, those of its PCI tests
// as QEMU's pci-testdev makes them.
constexpr const char* kVmexitTests[] = {"cpuid",
                                        "vmcall",
                                        "mov_from_cr8",
                                        "mov_to_cr8",
                                        "inl_from_pmtimer",
                                        "inl_from_qemu",
                                        "inl_from_kernel",
                                        "outl_to_kernel",
                                        "mov_dr",
                                        "tscdeadline_immed",
                                        "tscdeadline",
                                        "self_ipi_sti_nop",
                                        "self_ipi_sti_hlt",
                                        "self_ipi_tpr",
                                        "self_ipi_tpr_sti_nop",
                                        "self_ipi_tpr_sti_hlt",
                                        "x2apic_self_ipi_sti_nop",
                                        "x2apic_self_ipi_sti_hlt",
                                        "x2apic_self_ipi_tpr",
                                        "x2apic_self_ipi_tpr_sti_nop",
                                        "x2apic_self_ipi_tpr_sti_hlt",
                                        "ipi",
                                        "ipi_halt",
                                        "ple_round_robin",
                                        "wr_kernel_gs_base",
                                        "wr_tsx_ctrl_msr",
                                        "wr_ibrs_msr",
                                        "wr_ibpb_msr",
                                        "wr_tsc_adjust_msr",
                                        "rd_tsc_adjust_msr",
                                        "toggle_cr0_wp",
                                        "toggle_cr4_pge",
                                        "mmio-no-eventfd:pci-mem",
                                        "mmio-wildcard-eventfd:pci-mem",
                                        "mmio-datamatch-eventfd:pci-mem",
                                        "portio-no-eventfd:pci-io",
                                        "portio-wildcard-eventfd:pci-io",
                                        "portio-datamatch-eventfd:pci-io"};

TEST(CatalogueTest, EveryTestOfVmexitHasOneScenarioThatRunsInRing0) {
  std::multiset<std::string> named;
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.vmexit_test == nullptr) continue;
    named.insert(scenario.vmexit_test);
    EXPECT_EQ(WhyNotInMode(scenario, GuestMode::kRing0), nullptr)
        << scenario.name;
  }
  for (const char* test : kVmexitTests) {
    EXPECT_EQ(named.count(test), 1u) << test;
  }
  EXPECT_EQ(named.size(), std::size(kVmexitTests));
}

TEST(CatalogueTest, EveryScenarioSaysWhatItDoesAndHowItIsProven) {
  for (const Scenario& scenario : AllScenarios()) {
    EXPECT_STRNE(scenario.summary, "") << scenario.name;
    EXPECT_STRNE(scenario.proof, "") << scenario.name;
    const bool sees_exits = scenario.proof_kind == ProofKind::kExitSeen ||
                            scenario.proof_kind == ProofKind::kDelivery;
    EXPECT_EQ(scenario.on_exit != nullptr, sees_exits) << scenario.name;
    EXPECT_EQ(HostCallOf(scenario) != nullptr,
              scenario.kind == ScenarioKind::kHostCall)
        << scenario.name;
    EXPECT_LE(scenario.max_block, WS_MAX_BLOCK) << scenario.name;
    if (scenario.second != SecondCounter::kNone) {
      EXPECT_EQ(scenario.proof_kind, ProofKind::kEngineCounter)
          << scenario.name;
      EXPECT_THAT(scenario.proof,
                  HasSubstr(CounterName(scenario.second_counter)))
          << scenario.name;
    }
    EXPECT_EQ(scenario.peer_payload != Payload::k_empty,
              scenario.kind == ScenarioKind::kPeerVcpu)
        << scenario.name;
    EXPECT_EQ(scenario.peer_raise != nullptr,
              scenario.kind == ScenarioKind::kPeerIrq)
        << scenario.name;
    EXPECT_EQ(scenario.parallel != 1, scenario.kind == ScenarioKind::kParallel)
        << scenario.name;
    // The step is taken at a measured exit.
    EXPECT_TRUE(scenario.host_step == HostStep::kNone || sees_exits)
        << scenario.name;
  }
}

// What rests on KVM is not asked of the image, nor the other way round.
TEST(CatalogueTest, APlaceFollowsFromWhatAScenarioRestsOn) {
  for (const Scenario& scenario : AllScenarios()) {
    const bool rests_on_kvm =
        scenario.knobs != nullptr ||
        (scenario.kind != ScenarioKind::kGuest &&
         scenario.host_call == nullptr) ||
        scenario.host_step == HostStep::kMoveToAnotherCpu ||
        scenario.proof_kind == ProofKind::kEngineCounter;
    if (rests_on_kvm) {
      EXPECT_EQ(scenario.place, ScenarioPlace::kKvm) << scenario.name;
    }
    EXPECT_EQ(scenario.place == ScenarioPlace::kNative,
              std::string(scenario.name).starts_with("native/"))
        << scenario.name;
  }
}

TEST(CatalogueTest, AModeIsEitherThereOrRefusedWithAReason) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.kind == ScenarioKind::kHostCall) continue;
    int there = 0;
    for (const GuestMode mode :
         {GuestMode::kReal, GuestMode::kRing0, GuestMode::kRing3}) {
      const char* why_not = WhyNotInMode(scenario, mode);
      if (why_not == nullptr) {
        ++there;
      } else {
        EXPECT_STRNE(why_not, "") << scenario.name;
      }
    }
    EXPECT_GT(there, 0) << scenario.name;
  }
}

}  // namespace
}  // namespace worldswitch
