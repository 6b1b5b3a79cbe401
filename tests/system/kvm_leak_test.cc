// Ten thousand VMs made and destroyed leave nothing behind: no descriptor, no
// mapping, no kilobyte. Under a sanitizer it is fewer, and LeakSanitizer that
// looks for the kilobytes.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/features/dirty_log.h"
#include "core/features/guest_clock.h"
#include "core/features/memory_slots.h"
#include "core/features/vcpu_state.h"
#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

WS_GUEST(Halt, "hlt")

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Footprint {
  std::ptrdiff_t descriptors;
  std::ptrdiff_t mappings;
  std::int64_t data_kib;      // VmData: what the process asked for
  std::int64_t resident_kib;  // VmRSS: what of it is there
};

Footprint Now() {
  Footprint now = {};
  now.descriptors =
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                    std::filesystem::directory_iterator());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++now.mappings;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmData:") status >> now.data_kib;
    if (word == "VmRSS:") status >> now.resident_kib;
  }
  return now;
}

class KvmLeakTest : public KvmTest {
 protected:
  // One VM with all its features, run once.
  void OneVm() {
    MakeVm();
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_NE(FeatureOf<VcpuStateAccess>(*vm_), nullptr);
    ASSERT_NE(FeatureOf<MemorySlots>(*vm_), nullptr);
    ASSERT_NE(FeatureOf<DirtyLog>(*vm_), nullptr);
    ASSERT_NE(FeatureOf<GuestClock>(*vm_), nullptr);
    Start(HaltCode());
    ASSERT_EQ(vcpu().run().reason, ExitReason::kHlt);
    vm_.reset();
  }
};

TEST_F(KvmLeakTest, VmsLeaveNothingBehind) {
  constexpr int kWarmUp = 200;
  constexpr int kVms = kSanitized ? 1000 : 10000;
  for (int i = 0; i < kWarmUp; ++i) OneVm();
  ASSERT_FALSE(HasFatalFailure());
  const Footprint before = Now();
  for (int i = 0; i < kVms && !HasFatalFailure(); ++i) OneVm();
  const Footprint after = Now();
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_EQ(after.mappings, before.mappings);
  RecordProperty("vms", kVms);
  if (kSanitized) return;
  // A page or two of the allocator's; a kilobyte a VM would be 10,000.
  EXPECT_LE(after.data_kib - before.data_kib, 256);
  EXPECT_LE(after.resident_kib - before.resident_kib, 1024);
}

}  // namespace
}  // namespace worldswitch
