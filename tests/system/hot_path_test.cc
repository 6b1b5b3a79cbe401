// What the loops may not do between two entries, counted on the real /dev/kvm:
// allocate; and that the three loops which are compared do the same work.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/kvm/kvm_header.h"
#include "bench/deadline.h"
#include "bench/loops.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WS_SANITIZED 1
#endif
#endif
#ifndef WS_SANITIZED
#define WS_SANITIZED 0
#endif

#if !WS_SANITIZED && defined(__GLIBC__)
#define WS_COUNTS_ALLOCATIONS 1
#else
#define WS_COUNTS_ALLOCATIONS 0
#endif

namespace {

// Of all threads. Constant-initialized: the first calls come before main.
constinit std::atomic<std::uint64_t> allocations = 0;
constinit std::atomic<std::uint64_t> releases = 0;

}  // namespace

#if WS_COUNTS_ALLOCATIONS

// The names that a program may take over, and the C library's own behind them.
// operator new and delete come here as well.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the C library's names
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): so are they
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void __libc_free(void* pointer);

void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(old, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return memalign(alignment, bytes);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t bytes) {
  void* const made = memalign(alignment, bytes);
  if (made == nullptr) return ENOMEM;
  *to = made;
  return 0;
}
void free(void* pointer) {
  ++releases;
  __libc_free(pointer);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
// NOLINTEND(bugprone-reserved-identifier)
}

#endif  // WS_COUNTS_ALLOCATIONS

namespace worldswitch {
namespace {

constexpr unsigned kDeadlineSeconds = 60;
constexpr std::size_t kExits = 10'000;
constexpr std::size_t kAtOnce = 100;

// Offsets, for a message that tells which field it is.
template <typename T>
std::vector<std::size_t> BytesThatDiffer(const T& a, const T& b) {
  std::array<std::byte, sizeof(T)> bytes[2];
  std::memcpy(bytes[0].data(), &a, sizeof(T));
  std::memcpy(bytes[1].data(), &b, sizeof(T));
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    if (bytes[0][i] != bytes[1][i]) offsets.push_back(i);
  }
  return offsets;
}

class HotPathTest : public testing::TestWithParam<GuestMode> {
 protected:
  void SetUp() override {
    if (const absl::Status status = ProbeKvm(); !status.ok()) {
      GTEST_SKIP() << status;
    }
    absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
    ASSERT_TRUE(system.ok()) << system.status();
    backend_.emplace("kvm", *std::move(system), 0);
  }

  std::unique_ptr<Loop> Make(LoopKind kind) {
    absl::StatusOr<std::unique_ptr<Loop>> loop =
        MakeLoop(*backend_, kind, GetParam());
    if (!loop.ok()) {
      ADD_FAILURE() << loop.status();
      return nullptr;
    }
    return *std::move(loop);
  }

  const Deadline deadline_{kDeadlineSeconds, "hot_path_test: a guest hung"};
  std::optional<KvmBackend> backend_;
};

constexpr char kNotCounted[] =
    "a sanitizer has taken malloc over (or this is no glibc)";

TEST(AllocationCounterTest, SeesNewAndMalloc) {
  if (WS_COUNTS_ALLOCATIONS == 0) GTEST_SKIP() << kNotCounted;
  const std::uint64_t allocated = allocations;
  const std::uint64_t released = releases;
  // Called by name: as expressions a compiler may leave both out.
  ::operator delete(::operator new(1));
  void* volatile bytes = std::malloc(1);
  std::free(bytes);
  EXPECT_EQ(allocations - allocated, 2u);
  EXPECT_EQ(releases - released, 2u);
}

TEST_P(HotPathTest, NothingIsAllocatedBetweenEntries) {
  if (WS_COUNTS_ALLOCATIONS == 0) GTEST_SKIP() << kNotCounted;
  std::array<std::uint64_t, kAtOnce> stamps = {};
  for (const LoopKind kind : {LoopKind::kVirtual, LoopKind::kFinal}) {
    SCOPED_TRACE(LoopKindName(kind));
    const std::unique_ptr<Loop> loop = Make(kind);
    ASSERT_NE(loop, nullptr);
    // From the very first entry on.
    const std::uint64_t allocated = allocations;
    const std::uint64_t released = releases;
    bool ran = true;
    for (std::size_t exits = 0; ran && exits < kExits; exits += kAtOnce) {
      ran = loop->Run(stamps);
    }
    const std::uint64_t allocated_now = allocations;
    const std::uint64_t released_now = releases;
    ASSERT_TRUE(ran) << loop->failure();
    EXPECT_EQ(allocated_now - allocated, 0u);
    EXPECT_EQ(released_now - released, 0u);
  }
}

TEST_P(HotPathTest, EachExitIsHandledOnceAndInOrder) {
  for (const LoopKind kind :
       {LoopKind::kBare, LoopKind::kVirtual, LoopKind::kFinal}) {
    SCOPED_TRACE(LoopKindName(kind));
    const std::unique_ptr<Loop> loop = Make(kind);
    ASSERT_NE(loop, nullptr);
    std::vector<std::uint64_t> stamps(kAtOnce + 1, 0);
    ASSERT_TRUE(loop->Run({stamps.data(), kAtOnce})) << loop->failure();
    EXPECT_EQ(stamps.back(), 0u);
    stamps.pop_back();
    EXPECT_THAT(stamps, testing::Each(testing::Gt(0u)));
    for (std::size_t i = 1; i < stamps.size(); ++i) {
      ASSERT_LT(stamps[i - 1], stamps[i]) << i;
    }
  }
}

// The comparison of the loops stands on their guests being the same.
TEST_P(HotPathTest, TheBareLoopRunsTheSameGuest) {
  const std::unique_ptr<Loop> bare = Make(LoopKind::kBare);
  const std::unique_ptr<Loop> own = Make(LoopKind::kFinal);
  ASSERT_NE(bare, nullptr);
  ASSERT_NE(own, nullptr);
  kvm_sregs bare_sregs = {};
  kvm_sregs own_sregs = {};
  ASSERT_EQ(ioctl(bare->vcpu_fd(), KVM_GET_SREGS, &bare_sregs), 0);
  ASSERT_EQ(ioctl(own->vcpu_fd(), KVM_GET_SREGS, &own_sregs), 0);
  EXPECT_EQ(BytesThatDiffer(bare_sregs, own_sregs), std::vector<std::size_t>());
  kvm_regs bare_regs = {};
  kvm_regs own_regs = {};
  ASSERT_EQ(ioctl(bare->vcpu_fd(), KVM_GET_REGS, &bare_regs), 0);
  ASSERT_EQ(ioctl(own->vcpu_fd(), KVM_GET_REGS, &own_regs), 0);
  EXPECT_EQ(BytesThatDiffer(bare_regs, own_regs), std::vector<std::size_t>());
}

INSTANTIATE_TEST_SUITE_P(Modes, HotPathTest,
                         testing::Values(GuestMode::kReal, GuestMode::kRing0),
                         [](const auto& mode) {
                           return std::string(GuestModeName(mode.param));
                         });

}  // namespace
}  // namespace worldswitch
