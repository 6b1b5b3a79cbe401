#include "conformance/hosted_clause_host.h"

namespace worldswitch {
namespace {

// No guest of the clauses needs more than a fraction of it.
constexpr std::chrono::milliseconds kPatience(3000);
constexpr std::chrono::milliseconds kTick(100);

}  // namespace

RunWatch::RunWatch(std::chrono::milliseconds patience)
    : patience_(patience), thread_([this] { Guard(); }) {}

RunWatch::~RunWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void RunWatch::Begin(VcpuOps* vcpu, KickHandle handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  runs_[vcpu] = {std::move(handle),
                 std::chrono::steady_clock::now() + patience_, false};
}

bool RunWatch::End(VcpuOps* vcpu) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto run = runs_.find(vcpu);
  const bool kicked = run->second.kicked;
  runs_.erase(run);
  return kicked;
}

void RunWatch::Guard() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!over_) {
    wake_.wait_for(lock, kTick);
    const auto now = std::chrono::steady_clock::now();
    for (auto& [vcpu, run] : runs_) {
      if (now < run.until) continue;
      run.kicked = true;
      run.handle.Kick();
    }
  }
}

HostedClauseHost::HostedClauseHost(Backend& backend, KnobSettings knobs,
                                   MakeUnknownExit unknown_exit)
    : backend_(backend),
      knobs_(std::move(knobs)),
      unknown_exit_(std::move(unknown_exit)),
      watch_(kPatience) {}

HostedClauseHost::~HostedClauseHost() = default;

VmOps* HostedClauseHost::Take(absl::StatusOr<std::unique_ptr<Vm>> vm,
                              const char** why) {
  if (!vm.ok()) {
    why_ = vm.status().ToString();
    *why = why_.c_str();
    return nullptr;
  }
  VmOps* made = vm->get();
  vms_[made] = *std::move(vm);
  return made;
}

VmOps* HostedClauseHost::MakeVm(const VmNeeds& needs, const char** why) {
  VmConfig config;
  config.needs = needs;
  config.knobs = knobs_;
  return Take(backend_.CreateVm(config), why);
}

VmOps* HostedClauseHost::MakeVmOfUnknownExit(std::uint64_t raw,
                                             const char** why) {
  if (unknown_exit_ != nullptr) return Take(unknown_exit_(raw), why);
  *why =
      "no guest can make a machine exit in a way its backend does not know; "
      "the scripted backend shows this clause";
  return nullptr;
}

void HostedClauseHost::DestroyVm(VmOps* vm) { vms_.erase(vm); }

void HostedClauseHost::BeginRun(VmOps* vm, std::uint32_t vcpu_index) {
  VcpuOps& vcpu = vm->vcpu(vcpu_index);
  watch_.Begin(&vcpu, vcpu.kick_handle());
}

bool HostedClauseHost::EndRun(VmOps* vm, std::uint32_t vcpu_index) {
  return watch_.End(&vm->vcpu(vcpu_index));
}

void HostedClauseHost::StartThread(void (*function)(void*), void* argument) {
  thread_ = std::thread(function, argument);
}

}  // namespace worldswitch
