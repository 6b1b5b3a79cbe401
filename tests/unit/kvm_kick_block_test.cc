// Kicks without a vCPU: a made-up page, and what becomes of it.

#include <memory>
#include <thread>
#include <vector>

#include "backends/kvm/kick_block.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

class KickBlockTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(KickBlock::PrepareSignal(KickBlock::DefaultSignal()).ok());
    page_ = std::make_unique<kvm_run>();
    block_ = new KickBlock(page_.get(), KickBlock::DefaultSignal());
  }
  KickHandle Handle() {
    block_->Ref();
    return KickHandle(block_);
  }

  std::unique_ptr<kvm_run> page_;
  KickBlock* block_ = nullptr;
};

TEST_F(KickBlockTest, AKickBeforeAnyThreadIsBoundIsKept) {
  Handle().Kick();
  EXPECT_EQ(page_->immediate_exit, kKickRequested);
  block_->Unref();
}

TEST_F(KickBlockTest, AKickLeavesTheOtherBitAlone) {
  page_->immediate_exit = kCompleteOnly;
  Handle().Kick();
  EXPECT_EQ(page_->immediate_exit, kKickRequested | kCompleteOnly);
  block_->Unref();
}

TEST_F(KickBlockTest, AHandleOutlivesThePage) {
  const KickHandle handle = Handle();
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): a second user
  const KickHandle copy = handle;
  block_->BindToThisThread();
  block_->Detach();
  block_->Unref();
  page_.reset();
  handle.Kick();
  copy.Kick();
}

TEST_F(KickBlockTest, AThreadThatHasEndedIsKickedInVain) {
  std::thread([this] { block_->BindToThisThread(); }).join();
  Handle().Kick();
  EXPECT_EQ(page_->immediate_exit, kKickRequested);
  block_->Unref();
}

TEST_F(KickBlockTest, EveryThreadHasATokenOfItsOwn) {
  const std::uint64_t mine = block_->BindToThisThread();
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::thread([&] { first = block_->BindToThisThread(); }).join();
  std::thread([&] { second = block_->BindToThisThread(); }).join();
  EXPECT_NE(first, mine);
  EXPECT_NE(second, mine);
  EXPECT_NE(first, second) << "though the second may live where the first did";
  EXPECT_EQ(block_->BindToThisThread(), mine);
  block_->Unref();
}

TEST_F(KickBlockTest, KicksRaceWithTheEndOfTheVcpu) {
  constexpr int kKickers = 4;
  std::vector<std::thread> kickers;
  kickers.reserve(kKickers);
  for (int i = 0; i < kKickers; ++i) {
    kickers.emplace_back([handle = Handle()] {
      for (int n = 0; n < 1000; ++n) handle.Kick();
    });
  }
  std::this_thread::yield();
  block_->Detach();
  page_.reset();
  block_->Unref();
  for (std::thread& kicker : kickers) kicker.join();
}

}  // namespace
}  // namespace worldswitch
