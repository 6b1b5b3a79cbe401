// The queue: priorities, coalescing, refusals, and posting from many threads.

#include "core/interrupt_queue.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

Event Exception(std::uint8_t vector) {
  return {.kind = EventKind::kException,
          .vector = vector,
          .has_error_code = true,
          .error_code = 0x10};
}

TEST(InterruptQueueTest, StartsEmpty) {
  const InterruptQueue queue;
  Event event;
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.Peek(&event));
}

TEST(InterruptQueueTest, AcceptsVectors16To255Only) {
  InterruptQueue queue;
  for (int vector = 0; vector < 16; ++vector) {
    EXPECT_FALSE(queue.PostIrq(static_cast<std::uint8_t>(vector))) << vector;
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.PostIrq(16));
  EXPECT_TRUE(queue.PostIrq(255));
}

TEST(InterruptQueueTest, GivesEveryVectorHighestFirst) {
  InterruptQueue queue;
  for (int vector = 16; vector < 256; ++vector) {
    ASSERT_TRUE(queue.PostIrq(static_cast<std::uint8_t>(vector)));
  }
  for (int vector = 255; vector >= 16; --vector) {
    Event event;
    ASSERT_TRUE(queue.Peek(&event));
    EXPECT_EQ(event.kind, EventKind::kIrq);
    ASSERT_EQ(event.vector, vector);
    queue.Pop(event);
  }
  EXPECT_TRUE(queue.empty());
}

TEST(InterruptQueueTest, ExceptionComesBeforeNmiBeforeIrq) {
  InterruptQueue queue;
  queue.PostIrq(255);
  queue.PostNmi();
  ASSERT_TRUE(queue.PostException(Exception(14)));
  Event event;
  ASSERT_TRUE(queue.Peek(&event));
  EXPECT_EQ(event.kind, EventKind::kException);
  EXPECT_EQ(event.vector, 14);
  EXPECT_TRUE(event.has_error_code);
  EXPECT_EQ(event.error_code, 0x10u);
  queue.Pop(event);
  ASSERT_TRUE(queue.Peek(&event));
  EXPECT_EQ(event.kind, EventKind::kNmi);
  EXPECT_EQ(event.vector, 2);
  queue.Pop(event);
  ASSERT_TRUE(queue.Peek(&event));
  EXPECT_EQ(event.kind, EventKind::kIrq);
}

TEST(InterruptQueueTest, PeekOfOneKindSeesOnlyThatKind) {
  InterruptQueue queue;
  Event event;
  queue.PostIrq(33);
  EXPECT_FALSE(queue.Peek(EventKind::kException, &event));
  EXPECT_FALSE(queue.Peek(EventKind::kNmi, &event));
  ASSERT_TRUE(queue.Peek(EventKind::kIrq, &event));
  EXPECT_EQ(event.vector, 33);
}

TEST(InterruptQueueTest, PostingTwiceDeliversOnce) {
  InterruptQueue queue;
  queue.PostIrq(40);
  queue.PostIrq(40);
  Event event;
  ASSERT_TRUE(queue.Peek(&event));
  queue.Pop(event);
  EXPECT_TRUE(queue.empty());
  queue.PostNmi();
  queue.PostNmi();
  ASSERT_TRUE(queue.Peek(&event));
  queue.Pop(event);
  EXPECT_TRUE(queue.empty());
}

TEST(InterruptQueueTest, HoldsOneExceptionAndKeepsTheFirst) {
  InterruptQueue queue;
  EXPECT_TRUE(queue.PostException(Exception(13)));
  EXPECT_FALSE(queue.PostException(Exception(14)));
  queue.Requeue(Exception(14));
  Event event;
  ASSERT_TRUE(queue.Peek(&event));
  EXPECT_EQ(event.vector, 13);
  EXPECT_FALSE(queue.PostException({.kind = EventKind::kIrq, .vector = 32}));
}

TEST(InterruptQueueTest, RequeuePutsBackAnyKind) {
  InterruptQueue queue;
  queue.Requeue({.kind = EventKind::kIrq, .vector = 77});
  queue.Requeue({.kind = EventKind::kNmi, .vector = 2});
  queue.Requeue(Exception(6));
  Event event;
  ASSERT_TRUE(queue.Peek(EventKind::kIrq, &event));
  EXPECT_EQ(event.vector, 77);
  EXPECT_TRUE(queue.Peek(EventKind::kNmi, &event));
  ASSERT_TRUE(queue.Peek(EventKind::kException, &event));
  EXPECT_EQ(event.vector, 6);
}

TEST(InterruptQueueTest, NothingPostedFromOtherThreadsIsLost) {
  constexpr int kThreads = 4;
  InterruptQueue queue;
  std::atomic<int> running = kThreads;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int vector = 16 + t; vector < 256; vector += kThreads) {
        ASSERT_TRUE(queue.PostIrq(static_cast<std::uint8_t>(vector)));
      }
      queue.PostNmi();
      running.fetch_sub(1);
    });
  }
  std::set<int> seen;
  bool saw_nmi = false;
  for (bool more = true; more;) {
    more = running.load() != 0;  // before the look: nobody posts behind it
    Event event;
    while (queue.Peek(&event)) {
      queue.Pop(event);
      if (event.kind == EventKind::kNmi) {
        saw_nmi = true;
      } else {
        EXPECT_TRUE(seen.insert(event.vector).second) << int{event.vector};
      }
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen.size(), 240u);
  EXPECT_TRUE(saw_nmi);
}

}  // namespace
}  // namespace worldswitch
