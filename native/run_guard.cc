#include "native/run_guard.h"

#include "bench/tsc.h"
#include "core/features/processor_controls.h"
#include "native/interrupts.h"
#include "native/local_timer.h"
#include "native/machine_end.h"

namespace worldswitch::native {

constinit RunGuard run_guard;

void RunGuard::SetUp() {
  has_timer_ = SetUpLocalTimer();
  if (IsQemu() || IsBochs()) most_ = kCountedPatience;
  SetInterruptHandler(kTimerVector, OnTimer, this);
}

void RunGuard::Limit(VmOps& vm, std::uint64_t ticks) const {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  if (controls == nullptr) return;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    controls->set_run_limit(i, ticks == 0 ? most_ : ticks);
  }
}

void RunGuard::OnTimer(void* self) {
  EndOfInterrupt();
  auto& guard = *static_cast<RunGuard*>(self);
  guard.fired_.store(true, std::memory_order_relaxed);
  if (const KickHandle* handle = guard.handle_.load()) handle->Kick();
}

void RunGuard::Begin(const KickHandle& handle, std::uint32_t patience) {
  handle_.store(&handle);
  fired_.store(false, std::memory_order_relaxed);
  patience_ = patience == 0 ? most_ : patience;
  begin_ = ReadTsc();
  if (has_timer_) StartLocalTimer(patience_);
}

bool RunGuard::End() {
  if (has_timer_) StopLocalTimer();
  const bool too_long = ReadTsc() - begin_ >= patience_;
  handle_.store(nullptr);
  return too_long || fired();
}

}  // namespace worldswitch::native
