// core/features/irqchip.h over KVM's in-kernel interrupt controllers.
//
// Made by KvmVm::CreateIrqchip; the eventfds behind the irqfds are owned here.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_IRQCHIP_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_IRQCHIP_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "backends/kvm/file_descriptor.h"
#include "core/features/irqchip.h"

namespace worldswitch {

class KvmVm;

class KvmIrqchip final : public Irqchip {
 public:
  // has_pit: a PIT was made beside a full irqchip.
  KvmIrqchip(KvmVm& vm, IrqchipKind kind, bool has_pit)
      : vm_(vm), kind_(kind), has_pit_(has_pit) {}

  IrqchipKind kind() const override { return kind_; }
  Result set_irq_line(std::uint32_t gsi, bool high) override;
  Result signal_msi(const MsiMessage& message, bool* delivered) override;
  Result set_routing(const IrqRoute* routes, std::uint32_t count) override;
  Result add_irqfd(std::uint32_t gsi, IrqfdToken* token) override;
  Result add_resample_irqfd(std::uint32_t gsi, IrqfdToken* token) override;
  Result remove_irqfd(IrqfdToken token) override;
  Result signal_irqfd(IrqfdToken token) override;
  std::uint64_t resamples(IrqfdToken token) override;
  Result get_lapic(std::uint32_t vcpu, LapicState* state) override;
  Result set_lapic(std::uint32_t vcpu, const LapicState& state) override;
  Result get_pic(std::uint32_t index, PicState* state) override;
  Result set_pic(std::uint32_t index, const PicState& state) override;
  Result get_ioapic(IoapicState* state) override;
  Result set_ioapic(const IoapicState& state) override;
  Result get_pit(PitState* state) override;
  Result set_pit(const PitState& state) override;
  Result get_mp_state(std::uint32_t vcpu, MpState* state) override;
  Result set_mp_state(std::uint32_t vcpu, MpState state) override;
  Result send_smi(std::uint32_t vcpu) override;
  int last_error() const override {
    return last_error_.load(std::memory_order_relaxed);
  }

 private:
  struct Irqfd {
    std::uint32_t gsi;
    FileDescriptor trigger;   // none: removed
    FileDescriptor resample;  // none: edge-triggered
    std::uint64_t resampled;
  };

  Result Fail(int error_number) {
    last_error_.store(error_number, std::memory_order_relaxed);
    return Result::kError;
  }
  Result VmIoctl(unsigned long request, void* argument);
  Result VcpuIoctl(std::uint32_t vcpu, unsigned long request, void* argument);
  Result Add(std::uint32_t gsi, bool resample, IrqfdToken* token);

  KvmVm& vm_;
  const IrqchipKind kind_;
  const bool has_pit_;
  std::vector<Irqfd> irqfds_;  // by token
  std::atomic<int> last_error_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_IRQCHIP_H_
