// Takes exactly N exits through the virtual loop on the backend that a text
// names, for whoever counts from outside:
//
//   count_plugin kvm|/path/to/kvm_plugin.so N
//
// Exit code: 0 done, 1 not, 2 usage, 77 no /dev/kvm to use (and why).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "backends/kvm/kvm_backend.h"
#include "bench/deadline.h"
#include "core/host/plugin_catalogue.h"
#include "core/vcpu_loop.h"
#include "guests/guests.h"

namespace worldswitch {
namespace {

constexpr unsigned kDeadlineSeconds = 100;
constexpr int kSkipped = 77;

// next: out %al, $WS_PORT_TEST; jmp next
constexpr std::uint8_t kGuest[] = {0xe6, WS_PORT_TEST, 0xeb, 0xfc};

class CountingHandler final : public ExitHandler {
 public:
  explicit CountingHandler(std::uint64_t wanted) : left_(wanted) {}
  LoopAction HandleExit(Exit& exit) override {
    if (exit.reason != ExitReason::kIo) return LoopAction::kReturn;
    return --left_ == 0 ? LoopAction::kReturn : LoopAction::kResume;
  }
  std::uint64_t left() const { return left_; }

 private:
  std::uint64_t left_;
};

int Count(const std::string& text, std::uint64_t exits) {
  const Deadline deadline(kDeadlineSeconds, "count_plugin");
  if (absl::Status usable = ProbeKvm(); !usable.ok()) {
    std::printf("SKIP: %s\n", usable.ToString().c_str());
    return kSkipped;
  }
  BackendRegistry registry;
  absl::Status status = registry.Add(KvmBackendFactory());
  registry.SetSource(std::make_unique<PluginCatalogue>(
      PluginCatalogue::Options{.places = {}}));
  absl::StatusOr<BackendRegistry::Opened> opened = registry.Open(text);
  if (status.ok()) status = opened.status();
  if (!status.ok()) {
    std::fprintf(stderr, "count_plugin: %s\n", status.ToString().c_str());
    return 1;
  }
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  absl::StatusOr<std::unique_ptr<Vm>> vm = opened->backend->CreateVm(config);
  if (!vm.ok() || LoadCode(**vm, 0, GuestMode::kRing0, kGuest,
                           sizeof(kGuest)) != Result::kOk) {
    std::fprintf(stderr, "count_plugin: no guest: %s\n",
                 vm.status().ToString().c_str());
    return 1;
  }
  VcpuContext context;
  CountingHandler handler(exits);
  vcpu_enter_guest<VcpuOps, ExitHandler>((*vm)->vcpu(0), context, handler);
  if (handler.left() == 0) return 0;
  std::fprintf(stderr, "count_plugin: the guest left otherwise\n");
  return 1;
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  const std::uint64_t exits =
      argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (exits == 0) {
    std::fprintf(stderr, "usage: count_plugin BACKEND N\n");
    return 2;
  }
  return worldswitch::Count(argv[1], exits);
}
