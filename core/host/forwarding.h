// A VM and a vCPU that hand every op on to another one, for layers: a class
// that changes one op overrides one.

#ifndef WORLDSWITCH_CORE_HOST_FORWARDING_H_
#define WORLDSWITCH_CORE_HOST_FORWARDING_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/vm_ops.h"

namespace worldswitch {

class ForwardingVcpu : public VcpuOps {
 public:
  explicit ForwardingVcpu(VcpuOps& inner) : inner_(inner) {}
  virtual ~ForwardingVcpu() = default;
  ForwardingVcpu(const ForwardingVcpu&) = delete;
  ForwardingVcpu& operator=(const ForwardingVcpu&) = delete;

  Exit run() override { return inner_.run(); }
  Disposition handle_exit(const Exit& exit) override {
    return inner_.handle_exit(exit);
  }
  bool interrupt_allowed() override { return inner_.interrupt_allowed(); }
  InjectResult inject_irq(std::uint8_t vector) override {
    return inner_.inject_irq(vector);
  }
  InjectResult inject_nmi() override { return inner_.inject_nmi(); }
  InjectResult inject_exception(const Event& event) override {
    return inner_.inject_exception(event);
  }
  void request_irq_window(bool wanted) override {
    inner_.request_irq_window(wanted);
  }
  void request_nmi_window(bool wanted) override {
    inner_.request_nmi_window(wanted);
  }
  bool cancel_injection(Event* event) override {
    return inner_.cancel_injection(event);
  }
  RegisterFile& registers() override { return inner_.registers(); }
  Result fetch_registers(RegisterSet groups) override {
    return inner_.fetch_registers(groups);
  }
  Result commit_registers() override { return inner_.commit_registers(); }
  OptionalValue exit_detail(ExitDetail detail) override {
    return inner_.exit_detail(detail);
  }
  KickHandle kick_handle() override { return inner_.kick_handle(); }
  int last_error() const override { return inner_.last_error(); }

 protected:
  VcpuOps& inner() { return inner_; }

 private:
  VcpuOps& inner_;
};

class ForwardingVm : public VmOps {
 public:
  // inner outlives it.
  explicit ForwardingVm(VmOps& inner) : inner_(inner) {}
  virtual ~ForwardingVm() = default;
  ForwardingVm(const ForwardingVm&) = delete;
  ForwardingVm& operator=(const ForwardingVm&) = delete;

  // One for each vCPU of the inner VM, in order.
  void AddVcpu(std::unique_ptr<ForwardingVcpu> vcpu) {
    vcpus_.push_back(std::move(vcpu));
  }

  MemoryView memory() override { return inner_.memory(); }
  std::uint32_t vcpu_count() const override { return inner_.vcpu_count(); }
  VcpuOps& vcpu(std::uint32_t index) override { return *vcpus_[index]; }
  bool has(Capability capability) const override {
    return inner_.has(capability);
  }
  OptionalValue counter(Counter counter, std::uint32_t vcpu_index) override {
    return inner_.counter(counter, vcpu_index);
  }
  Result discard_memory(std::uint64_t gpa, std::uint64_t length) override {
    return inner_.discard_memory(gpa, length);
  }
  void* feature(FeatureId id) override { return inner_.feature(id); }

  VmOps& inner() { return inner_; }

 private:
  VmOps& inner_;
  std::vector<std::unique_ptr<ForwardingVcpu>> vcpus_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_FORWARDING_H_
