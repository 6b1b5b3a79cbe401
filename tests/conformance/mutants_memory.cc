// Mutants of MEM.* and SMP.*: memory that is shared.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "tests/conformance/mutants.h"

namespace worldswitch {
namespace {

// Once the guest has run, the host sees copies of its memory.
class CopyingVm : public ForwardingVm {
 public:
  using ForwardingVm::ForwardingVm;
  // kFresh: a new one each time, so that what the host writes is lost.
  // Otherwise the first one, so that what the guest writes is not seen.
  enum class Copy : std::uint8_t { kFresh, kFirst };
  CopyingVm(VmOps& right, Copy copy) : ForwardingVm(right), copy_(copy) {}

  MemoryView memory() override {
    MemoryView view = inner().memory();
    if (!has_run_.load()) return view;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (copy_ == Copy::kFresh || bytes_.empty()) {
      bytes_.assign(view.host, view.host + view.size);
    }
    view.host = bytes_.data();
    return view;
  }
  void SetHasRun() { has_run_.store(true); }

 private:
  const Copy copy_;
  std::atomic<bool> has_run_ = false;
  std::mutex mutex_;
  std::vector<std::byte> bytes_;
};
class CopyingVcpu final : public ForwardingVcpu {
 public:
  CopyingVcpu(VcpuOps& right, CopyingVm& vm) : ForwardingVcpu(right), vm_(vm) {}
  Exit run() override {
    const Exit exit = inner().run();
    vm_.SetHasRun();
    return exit;
  }

 private:
  CopyingVm& vm_;
};

// One vCPU at a time.
class LockingVm final : public ForwardingVm {
 public:
  using ForwardingVm::ForwardingVm;
  std::mutex& mutex() { return mutex_; }

 private:
  std::mutex mutex_;
};
class LockingVcpu final : public ForwardingVcpu {
 public:
  LockingVcpu(VcpuOps& right, LockingVm& vm) : ForwardingVcpu(right), vm_(vm) {}
  Exit run() override {
    const std::lock_guard<std::mutex> lock(vm_.mutex());
    return inner().run();
  }

 private:
  LockingVm& vm_;
};

// vCPUs that know the VM they are of.
template <typename VmType, typename Vcpu, typename... Arguments>
std::unique_ptr<ForwardingVm> OfVm(VmOps& right, Arguments... arguments) {
  auto vm = std::make_unique<VmType>(right, arguments...);
  for (std::uint32_t i = 0; i < right.vcpu_count(); ++i) {
    vm->AddVcpu(std::make_unique<Vcpu>(right.vcpu(i), *vm));
  }
  return vm;
}

}  // namespace

std::vector<Mutant> MemoryMutants() {
  return {
      {"LosesHostWrites",
       [](VmOps& right) {
         return OfVm<CopyingVm, CopyingVcpu>(right, CopyingVm::Copy::kFresh);
       },
       {"MEM.1"},
       {},
       /*breaks_more=*/true},
      {"HidesGuestWrites",
       [](VmOps& right) {
         return OfVm<CopyingVm, CopyingVcpu>(right, CopyingVm::Copy::kFirst);
       },
       {"MEM.2"},
       {},
       /*breaks_more=*/true},
      {"RunsOneVcpuAtATime",
       [](VmOps& right) { return OfVm<LockingVm, LockingVcpu>(right); },
       {"SMP.1"}},
  };
}

}  // namespace worldswitch
