// Lines, messages, routes and irqfds.

#include "backends/kvm/kvm_irqchip.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_vm.h"

namespace worldswitch {
namespace {

bool ToKvm(const IrqRoute& route, kvm_irq_routing_entry* entry) {
  constexpr std::uint32_t kPicPins = 8;
  *entry = {};
  entry->gsi = route.gsi;
  entry->type = KVM_IRQ_ROUTING_IRQCHIP;
  entry->u.irqchip.pin = route.pin;
  switch (route.target) {
    case IrqTarget::kPicMaster:
      entry->u.irqchip.irqchip = KVM_IRQCHIP_PIC_MASTER;
      return route.pin < kPicPins;
    case IrqTarget::kPicSlave:
      entry->u.irqchip.irqchip = KVM_IRQCHIP_PIC_SLAVE;
      return route.pin < kPicPins;
    case IrqTarget::kIoapic:
      entry->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
      return route.pin < KVM_IOAPIC_NUM_PINS;
    case IrqTarget::kMsi:
      entry->type = KVM_IRQ_ROUTING_MSI;
      entry->u.msi.address_lo = static_cast<__u32>(route.msi.address);
      entry->u.msi.address_hi = static_cast<__u32>(route.msi.address >> 32);
      entry->u.msi.data = route.msi.data;
      return true;
  }
  return false;
}

}  // namespace

Result KvmIrqchip::VmIoctl(unsigned long request, void* argument) {
  return ioctl(vm_.fd(), request, argument) >= 0 ? Result::kOk : Fail(errno);
}

Result KvmIrqchip::VcpuIoctl(std::uint32_t vcpu, unsigned long request,
                             void* argument) {
  if (vcpu >= vm_.vcpu_count()) return Fail(EINVAL);
  return ioctl(vm_.kvm_vcpu(vcpu).fd(), request, argument) >= 0 ? Result::kOk
                                                                : Fail(errno);
}

Result KvmIrqchip::set_irq_line(std::uint32_t gsi, bool high) {
  if (kind_ == IrqchipKind::kSplit) return Fail(ENXIO);
  kvm_irq_level level = {};
  level.irq = gsi;
  level.level = high ? 1 : 0;
  return VmIoctl(KVM_IRQ_LINE, &level);
}

Result KvmIrqchip::signal_msi(const MsiMessage& message, bool* delivered) {
  kvm_msi msi = {};
  msi.address_lo = static_cast<__u32>(message.address);
  msi.address_hi = static_cast<__u32>(message.address >> 32);
  msi.data = message.data;
  const int result = ioctl(vm_.fd(), KVM_SIGNAL_MSI, &msi);
  *delivered = result > 0;
  return result >= 0 ? Result::kOk : Fail(errno);
}

Result KvmIrqchip::set_routing(const IrqRoute* routes, std::uint32_t count) {
  // In 64-bit words, for the alignment of what is put into it.
  std::vector<std::uint64_t> buffer(
      (sizeof(kvm_irq_routing) + count * sizeof(kvm_irq_routing_entry)) /
          sizeof(std::uint64_t) +
      1);
  auto* const bytes = reinterpret_cast<std::byte*>(buffer.data());
  const kvm_irq_routing header = {.nr = count, .flags = 0, .entries = {}};
  std::memcpy(bytes, &header, sizeof(header));
  for (std::uint32_t i = 0; i < count; ++i) {
    kvm_irq_routing_entry entry;
    if (!ToKvm(routes[i], &entry)) return Fail(EINVAL);
    std::memcpy(bytes + sizeof(header) + i * sizeof(entry), &entry,
                sizeof(entry));
  }
  return VmIoctl(KVM_SET_GSI_ROUTING, bytes);
}

Result KvmIrqchip::Add(std::uint32_t gsi, bool resample, IrqfdToken* token) {
  Irqfd irqfd = {.gsi = gsi, .trigger = {}, .resample = {}, .resampled = 0};
  irqfd.trigger = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!irqfd.trigger.valid()) return Fail(errno);
  kvm_irqfd request = {};
  request.fd = static_cast<__u32>(irqfd.trigger.get());
  request.gsi = gsi;
  if (resample) {
    irqfd.resample = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!irqfd.resample.valid()) return Fail(errno);
    request.resamplefd = static_cast<__u32>(irqfd.resample.get());
    request.flags = KVM_IRQFD_FLAG_RESAMPLE;
  }
  const Result result = VmIoctl(KVM_IRQFD, &request);
  if (result != Result::kOk) return result;
  *token = static_cast<IrqfdToken>(irqfds_.size());
  irqfds_.push_back(std::move(irqfd));
  return Result::kOk;
}

Result KvmIrqchip::add_irqfd(std::uint32_t gsi, IrqfdToken* token) {
  return Add(gsi, false, token);
}

Result KvmIrqchip::add_resample_irqfd(std::uint32_t gsi, IrqfdToken* token) {
  if (kind_ != IrqchipKind::kFull ||
      vm_.system().Capability(KVM_CAP_IRQFD_RESAMPLE) <= 0) {
    return Result::kUnsupported;
  }
  return Add(gsi, true, token);
}

Result KvmIrqchip::remove_irqfd(IrqfdToken token) {
  if (token >= irqfds_.size() || !irqfds_[token].trigger.valid()) {
    return Fail(EINVAL);
  }
  Irqfd& irqfd = irqfds_[token];
  kvm_irqfd request = {};
  request.fd = static_cast<__u32>(irqfd.trigger.get());
  request.gsi = irqfd.gsi;
  request.flags = KVM_IRQFD_FLAG_DEASSIGN;
  const Result result = VmIoctl(KVM_IRQFD, &request);
  if (result != Result::kOk) return result;
  resamples(token);  // what was counted stays readable
  irqfd.trigger = FileDescriptor();
  irqfd.resample = FileDescriptor();
  return Result::kOk;
}

Result KvmIrqchip::signal_irqfd(IrqfdToken token) {
  if (token >= irqfds_.size() || !irqfds_[token].trigger.valid()) {
    return Fail(EINVAL);
  }
  const std::uint64_t one = 1;
  return write(irqfds_[token].trigger.get(), &one, sizeof(one)) == sizeof(one)
             ? Result::kOk
             : Fail(errno);
}

std::uint64_t KvmIrqchip::resamples(IrqfdToken token) {
  if (token >= irqfds_.size()) return 0;
  Irqfd& irqfd = irqfds_[token];
  std::uint64_t more = 0;
  if (irqfd.resample.valid() &&
      read(irqfd.resample.get(), &more, sizeof(more)) == sizeof(more)) {
    irqfd.resampled += more;
  }
  return irqfd.resampled;
}

}  // namespace worldswitch
