// The controllers' state, MP state and SMI.

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_irqchip.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

static_assert(sizeof(LapicState::page) == KVM_APIC_REG_SIZE);
static_assert(sizeof(IoapicState::redirection) ==
              sizeof(kvm_ioapic_state::redirtbl));

// Indexed by MpState.
constexpr std::uint32_t kMpStates[] = {
    KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED,
    KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_HALTED,
    KVM_MP_STATE_SIPI_RECEIVED};
constexpr std::uint32_t kPics = 2;

}  // namespace

Result KvmIrqchip::get_lapic(std::uint32_t vcpu, LapicState* state) {
  kvm_lapic_state lapic = {};
  const Result result = VcpuIoctl(vcpu, KVM_GET_LAPIC, &lapic);
  std::memcpy(state->page, lapic.regs, sizeof(state->page));
  return result;
}

Result KvmIrqchip::set_lapic(std::uint32_t vcpu, const LapicState& state) {
  kvm_lapic_state lapic = {};
  std::memcpy(lapic.regs, state.page, sizeof(state.page));
  return VcpuIoctl(vcpu, KVM_SET_LAPIC, &lapic);
}

Result KvmIrqchip::get_pic(std::uint32_t index, PicState* state) {
  if (kind_ != IrqchipKind::kFull) return Result::kUnsupported;
  if (index >= kPics) return Fail(EINVAL);
  kvm_irqchip chip = {};
  chip.chip_id = KVM_IRQCHIP_PIC_MASTER + index;
  const Result result = VmIoctl(KVM_GET_IRQCHIP, &chip);
  const kvm_pic_state& pic = chip.chip.pic;
  *state = {.last_irr = pic.last_irr,
            .irr = pic.irr,
            .imr = pic.imr,
            .isr = pic.isr,
            .irq_base = pic.irq_base,
            .elcr = pic.elcr,
            .init_state = pic.init_state,
            .auto_eoi = pic.auto_eoi != 0};
  return result;
}

Result KvmIrqchip::set_pic(std::uint32_t index, const PicState& state) {
  if (kind_ != IrqchipKind::kFull) return Result::kUnsupported;
  if (index >= kPics) return Fail(EINVAL);
  // What PicState leaves out stays as it is.
  kvm_irqchip chip = {};
  chip.chip_id = KVM_IRQCHIP_PIC_MASTER + index;
  const Result result = VmIoctl(KVM_GET_IRQCHIP, &chip);
  if (result != Result::kOk) return result;
  kvm_pic_state& pic = chip.chip.pic;
  pic.last_irr = state.last_irr;
  pic.irr = state.irr;
  pic.imr = state.imr;
  pic.isr = state.isr;
  pic.irq_base = state.irq_base;
  pic.elcr = state.elcr;
  pic.init_state = state.init_state;
  pic.auto_eoi = state.auto_eoi ? 1 : 0;
  return VmIoctl(KVM_SET_IRQCHIP, &chip);
}

Result KvmIrqchip::get_ioapic(IoapicState* state) {
  if (kind_ != IrqchipKind::kFull) return Result::kUnsupported;
  kvm_irqchip chip = {};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  const Result result = VmIoctl(KVM_GET_IRQCHIP, &chip);
  const kvm_ioapic_state& ioapic = chip.chip.ioapic;
  state->base = ioapic.base_address;
  state->select = ioapic.ioregsel;
  state->id = ioapic.id;
  state->irr = ioapic.irr;
  std::memcpy(state->redirection, ioapic.redirtbl, sizeof(state->redirection));
  return result;
}

Result KvmIrqchip::set_ioapic(const IoapicState& state) {
  if (kind_ != IrqchipKind::kFull) return Result::kUnsupported;
  kvm_irqchip chip = {};
  chip.chip_id = KVM_IRQCHIP_IOAPIC;
  kvm_ioapic_state& ioapic = chip.chip.ioapic;
  ioapic.base_address = state.base;
  ioapic.ioregsel = state.select;
  ioapic.id = state.id;
  ioapic.irr = state.irr;
  std::memcpy(ioapic.redirtbl, state.redirection, sizeof(state.redirection));
  return VmIoctl(KVM_SET_IRQCHIP, &chip);
}

Result KvmIrqchip::get_pit(PitState* state) {
  if (!has_pit_) return Result::kUnsupported;
  kvm_pit_state2 pit = {};
  const Result result = VmIoctl(KVM_GET_PIT2, &pit);
  for (std::uint32_t i = 0; i < 3; ++i) {
    state->channels[i] = {.count = pit.channels[i].count,
                          .mode = pit.channels[i].mode,
                          .gate = pit.channels[i].gate != 0};
  }
  return result;
}

Result KvmIrqchip::set_pit(const PitState& state) {
  if (!has_pit_) return Result::kUnsupported;
  constexpr std::uint32_t kLargestCount = 0x10000;
  constexpr std::uint8_t kLastMode = 5;
  kvm_pit_state2 pit = {};
  const Result result = VmIoctl(KVM_GET_PIT2, &pit);
  if (result != Result::kOk) return result;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const PitChannel& channel = state.channels[i];
    const bool mode_exists =
        channel.mode <= kLastMode || channel.mode == kPitModeUnset;
    if (channel.count > kLargestCount || !mode_exists) {
      return Fail(EINVAL);
    }
    pit.channels[i].count = channel.count;
    pit.channels[i].mode = channel.mode;
    pit.channels[i].gate = channel.gate ? 1 : 0;
  }
  return VmIoctl(KVM_SET_PIT2, &pit);
}

Result KvmIrqchip::get_mp_state(std::uint32_t vcpu, MpState* state) {
  kvm_mp_state mp = {};
  const Result result = VcpuIoctl(vcpu, KVM_GET_MP_STATE, &mp);
  *state = MpState::kOther;
  for (std::uint32_t i = 0; i < std::size(kMpStates); ++i) {
    if (kMpStates[i] == mp.mp_state) *state = static_cast<MpState>(i);
  }
  return result;
}

Result KvmIrqchip::set_mp_state(std::uint32_t vcpu, MpState state) {
  const auto index = static_cast<std::uint32_t>(state);
  if (index >= std::size(kMpStates)) return Fail(EINVAL);
  kvm_mp_state mp = {.mp_state = kMpStates[index]};
  return VcpuIoctl(vcpu, KVM_SET_MP_STATE, &mp);
}

Result KvmIrqchip::send_smi(std::uint32_t vcpu) {
  if (vm_.system().Capability(KVM_CAP_X86_SMM) <= 0) {
    return Result::kUnsupported;
  }
  return VcpuIoctl(vcpu, KVM_SMI, nullptr);
}

}  // namespace worldswitch
