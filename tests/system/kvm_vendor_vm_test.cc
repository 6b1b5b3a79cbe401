// VMs of the vendor backends on the real /dev/kvm: what runs is KVM's, and what
// fails is told in the vendor's words.

#include <memory>
#include <string>

#include "backends/svm_amd/svm_backend.h"
#include "backends/vmx_intel/vmx_backend.h"
#include "bench/exit_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

WS_GUEST(OutThenHalt, "out %al, $0xE0; hlt");
WS_GUEST(Undefined, "ud2");

// The classes take any engine; only their factories insist on their own. So the
// way of a failure into words is tried on all.
class KvmVendorVmTest : public KvmTest {
 protected:
  void Use(std::unique_ptr<KvmBackend> backend) {
    backend_ = std::move(backend);
    MakeVm();
  }
  std::shared_ptr<const KvmSystem> System() {
    absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
    EXPECT_TRUE(system.ok()) << system.status();
    return *std::move(system);
  }
  static Exit FailedEntry(std::uint64_t reason) {
    Exit exit = MakeExit(ExitReason::kEntryFailure, KVM_EXIT_FAIL_ENTRY);
    exit.entry_failure = {.hardware_reason = reason, .cpu = 0};
    return exit;
  }
  // Through the final type of vCPU, as the loop takes it.
  void RunsToTheOut() {
    Start(OutThenHaltCode());
    KvmVcpu& final_vcpu = vm_->kvm_vcpu(0);
    Watchdog watchdog(final_vcpu.kick_handle());
    const Exit exit = final_vcpu.run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << DescribeExit(exit, *vm_);
    EXPECT_EQ(exit.io.port, 0xE0);
    EXPECT_EQ(vm_->Explain(exit), "");
  }
};

TEST_F(KvmVendorVmTest, VmxFailuresAreInTheSdmsWords) {
  Use(std::make_unique<VmxBackend>(System(), 0));
  if (IsSkipped()) return;
  EXPECT_EQ(backend_->name(), "vmx_intel");
  RunsToTheOut();
  EXPECT_THAT(DescribeExit(FailedEntry(0x80000021), *vm_),
              EndsWith(": VM-entry failure due to invalid guest state (exit "
                       "reason 0x80000021, VM-entry failure)"));
}

TEST_F(KvmVendorVmTest, SvmFailuresAreInTheApmsWords) {
  Use(std::make_unique<SvmBackend>(System(), 0));
  if (IsSkipped()) return;
  EXPECT_EQ(backend_->name(), "svm_amd");
  RunsToTheOut();
  EXPECT_THAT(DescribeExit(FailedEntry(0xFFFFFFFF), *vm_),
              HasSubstr(": VMEXIT_INVALID, invalid guest state in the VMCB"));
}

TEST_F(KvmVendorVmTest, TheBackendOfAnyEngineNamesNoVendor) {
  MakeVm();
  EXPECT_EQ(vm_->Explain(FailedEntry(0x80000021)), "");
}

// An instruction that KVM cannot emulate, where the engine emulates: the report
// has its bytes. In real mode, since some engines emulate all of that.
TEST_F(KvmVendorVmTest, AnInstructionThatKvmGaveUpIsShown) {
  MakeVm();
  Start(UndefinedCode());
  SpecialRegisters& special = vcpu().registers().special;
  ASSERT_EQ(vcpu().fetch_registers(kAllRegisters), Result::kOk);
  const Segment real = {
      .base = 0, .limit = 0xFFFF, .access_rights = 0x93, .selector = 0};
  special.ds = special.es = special.fs = special.gs = special.ss = real;
  special.cs = {.base = kCodeGpa,
                .limit = 0xFFFF,
                .access_rights = 0x9B,
                .selector = kCodeGpa >> 4};
  special.cr0 = 0x10;
  special.cr4 = 0;
  special.efer = 0;
  special.idtr = {.base = 0, .limit = 0};
  general().rip = 0;
  vcpu().registers().dirty = kAllRegisters;
  Watchdog watchdog(vcpu().kick_handle());
  const Exit exit = vcpu().run();
  if (exit.reason != ExitReason::kInternalError) {
    GTEST_SKIP() << "this engine executes UD2: " << DescribeExit(exit, *vm_);
  }
  EXPECT_THAT(vm_->Explain(exit), HasSubstr("KVM_INTERNAL_ERROR_EMULATION"));
  if (exit.internal_error.data_count >= 3) {
    EXPECT_THAT(vm_->Explain(exit), HasSubstr("instruction bytes 0f 0b"));
  }
}

}  // namespace
}  // namespace worldswitch
