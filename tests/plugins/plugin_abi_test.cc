// What crosses, pinned: who changes any of it changes kPluginAbiVersion too, or
// plugins of before would be taken and would call the wrong function.

#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "core/features/dirty_log.h"
#include "core/features/guest_clock.h"
#include "core/features/guest_debug.h"
#include "core/features/io_events.h"
#include "core/features/irqchip.h"
#include "core/features/memory_slots.h"
#include "core/features/msr_exits.h"
#include "core/features/vcpu_state.h"
#include "core/host/backend.h"
#include "core/host/knob.h"
#include "core/host/plugin_note.h"
#include "core/plugin.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

// The place of a virtual function among those of its class. The Itanium C++
// ABI keeps it in the pointer: 1 + the offset in the table.
template <typename Member>
std::size_t SlotOf(Member member) {
  std::ptrdiff_t words[2] = {};
  static_assert(sizeof(words) == sizeof(member));
  std::memcpy(words, &member, sizeof(words));
  EXPECT_EQ(words[0] % 8, 1) << "not virtual";
  return static_cast<std::size_t>(words[0] / 8);
}

TEST(PluginAbiTest, TheVersionIsTheOneThatIsPinnedHere) {
  EXPECT_EQ(kPluginAbiVersion, 2u);
}

TEST(PluginAbiTest, VirtualFunctionsAreWhereTheyWere) {
  EXPECT_EQ(SlotOf(&VcpuOps::run), 0u);
  EXPECT_EQ(SlotOf(&VcpuOps::handle_exit), 1u);
  EXPECT_EQ(SlotOf(&VcpuOps::interrupt_allowed), 2u);
  EXPECT_EQ(SlotOf(&VcpuOps::inject_irq), 3u);
  EXPECT_EQ(SlotOf(&VcpuOps::inject_nmi), 4u);
  EXPECT_EQ(SlotOf(&VcpuOps::inject_exception), 5u);
  EXPECT_EQ(SlotOf(&VcpuOps::request_irq_window), 6u);
  EXPECT_EQ(SlotOf(&VcpuOps::request_nmi_window), 7u);
  EXPECT_EQ(SlotOf(&VcpuOps::cancel_injection), 8u);
  EXPECT_EQ(SlotOf(&VcpuOps::registers), 9u);
  EXPECT_EQ(SlotOf(&VcpuOps::fetch_registers), 10u);
  EXPECT_EQ(SlotOf(&VcpuOps::commit_registers), 11u);
  EXPECT_EQ(SlotOf(&VcpuOps::exit_detail), 12u);
  EXPECT_EQ(SlotOf(&VcpuOps::kick_handle), 13u);
  EXPECT_EQ(SlotOf(&VcpuOps::last_error), 14u);
  EXPECT_EQ(SlotOf(&VmOps::memory), 0u);
  EXPECT_EQ(SlotOf(&VmOps::vcpu_count), 1u);
  EXPECT_EQ(SlotOf(&VmOps::vcpu), 2u);
  EXPECT_EQ(SlotOf(&VmOps::has), 3u);
  EXPECT_EQ(SlotOf(&VmOps::counter), 4u);
  EXPECT_EQ(SlotOf(&VmOps::discard_memory), 5u);
  EXPECT_EQ(SlotOf(&VmOps::feature), 6u);
  EXPECT_EQ(SlotOf(&KickTarget::Ref), 0u);
  EXPECT_EQ(SlotOf(&KickTarget::Unref), 1u);
  EXPECT_EQ(SlotOf(&KickTarget::Kick), 2u);
}

// Their last functions: one more, or one less, moves them.
TEST(PluginAbiTest, FeaturesHaveAsManyFunctionsAsTheyHad) {
  EXPECT_EQ(SlotOf(&DirtyLog::last_error), 6u);
  EXPECT_EQ(SlotOf(&GuestClock::last_error), 7u);
  EXPECT_EQ(SlotOf(&GuestDebug::last_error), 3u);
  EXPECT_EQ(SlotOf(&IoEvents::last_error), 8u);
  EXPECT_EQ(SlotOf(&Irqchip::last_error), 20u);
  EXPECT_EQ(SlotOf(&MemorySlots::last_error), 6u);
  EXPECT_EQ(SlotOf(&MsrExits::last_error), 2u);
  EXPECT_EQ(SlotOf(&VcpuStateAccess::last_error), 6u);
}

TEST(PluginAbiTest, SizesAreWhatTheyWere) {
  constexpr PluginNote kNote = MakePluginNote();
  EXPECT_EQ(kNote.note_size, 72u);
  EXPECT_EQ(kNote.table_size, 64u);
  EXPECT_EQ(kNote.backend_ops_size, 80u);
  EXPECT_EQ(kNote.host_size, 24u);
  EXPECT_EQ(kNote.vm_config_size, 40u);
  EXPECT_EQ(kNote.knob_size, 104u);
  EXPECT_EQ(kNote.exit_size, 48u);
  EXPECT_EQ(kNote.event_size, 8u);
  EXPECT_EQ(kNote.register_file_size, 432u);
  EXPECT_EQ(sizeof(MemoryView), 24u);
  EXPECT_EQ(sizeof(VmNeeds), 16u);
  EXPECT_EQ(sizeof(KickHandle), 8u);
}

TEST(PluginAbiTest, EnumsEndWhereTheyEnded) {
  EXPECT_EQ(kExitReasonCount, 42u);
  EXPECT_EQ(static_cast<int>(Capability::kCount), 8);
  EXPECT_EQ(static_cast<int>(Counter::kCount), 15);
  EXPECT_EQ(static_cast<int>(FeatureId::kGuestClock), 7);
  EXPECT_EQ(static_cast<int>(ExitDetail::kBusLock), 9);
  EXPECT_EQ(static_cast<int>(StatePart::kCount), 11);
}

// Numbers that cross in place of the host floor's enums.
TEST(PluginAbiTest, PlainNumbersAreThoseOfTheHostFloor) {
  EXPECT_EQ(static_cast<int>(KnobScope::kHost), 0);
  EXPECT_EQ(static_cast<int>(KnobScope::kVcpu), 2);
  EXPECT_EQ(static_cast<int>(KnobType::kBool), 0);
  EXPECT_EQ(static_cast<int>(KnobType::kFlags), 3);
  EXPECT_EQ(static_cast<int>(MemoryBacking::kAnonymous), 0);
  EXPECT_EQ(static_cast<int>(MemoryBacking::kMemfd), 3);
  const struct {
    PluginCode ours;
    absl::StatusCode abseil;
  } codes[] = {
      {PluginCode::kOk, absl::StatusCode::kOk},
      {PluginCode::kCancelled, absl::StatusCode::kCancelled},
      {PluginCode::kUnknown, absl::StatusCode::kUnknown},
      {PluginCode::kInvalidArgument, absl::StatusCode::kInvalidArgument},
      {PluginCode::kDeadlineExceeded, absl::StatusCode::kDeadlineExceeded},
      {PluginCode::kNotFound, absl::StatusCode::kNotFound},
      {PluginCode::kAlreadyExists, absl::StatusCode::kAlreadyExists},
      {PluginCode::kPermissionDenied, absl::StatusCode::kPermissionDenied},
      {PluginCode::kResourceExhausted, absl::StatusCode::kResourceExhausted},
      {PluginCode::kFailedPrecondition, absl::StatusCode::kFailedPrecondition},
      {PluginCode::kAborted, absl::StatusCode::kAborted},
      {PluginCode::kOutOfRange, absl::StatusCode::kOutOfRange},
      {PluginCode::kUnimplemented, absl::StatusCode::kUnimplemented},
      {PluginCode::kInternal, absl::StatusCode::kInternal},
      {PluginCode::kUnavailable, absl::StatusCode::kUnavailable},
      {PluginCode::kDataLoss, absl::StatusCode::kDataLoss},
      {PluginCode::kUnauthenticated, absl::StatusCode::kUnauthenticated},
  };
  for (const auto& code : codes) {
    EXPECT_EQ(static_cast<int>(code.ours), static_cast<int>(code.abseil));
  }
}

TEST(PluginAbiTest, EverySizeOfTheNoteIsCompared) {
  const PluginNote good = [] {
    PluginNote note = MakePluginNote();
    note.name[0] = 'a';
    return note;
  }();
  EXPECT_TRUE(CheckPluginNote(good).ok());
  // Every word before the name, version and its own size included.
  constexpr std::size_t kWords =
      offsetof(PluginNote, name) / sizeof(std::uint32_t);
  for (std::size_t i = 0; i < kWords; ++i) {
    std::uint32_t words[kWords];
    std::memcpy(words, &good, sizeof(words));
    ++words[i];
    PluginNote wrong = good;
    std::memcpy(&wrong, words, sizeof(words));
    EXPECT_FALSE(CheckPluginNote(wrong).ok()) << i;
  }
}

TEST(PluginAbiTest, NamesOfBackends) {
  for (const char* name :
       {"a", "kvm", "svm_amd", "a1", "a234567890123456789012345678901"}) {
    EXPECT_TRUE(IsBackendName(name)) << name;
  }
  for (const char* name : {"", "auto", "1a", "_a", "A", "a b", "a/b", "a:b",
                           "a-b", "a2345678901234567890123456789012"}) {
    EXPECT_FALSE(IsBackendName(name)) << name;
  }
}

}  // namespace
}  // namespace worldswitch
