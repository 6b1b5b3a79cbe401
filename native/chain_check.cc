#include "native/chain_check.h"

#include <cstdint>

#include "core/text_line.h"
#include "guests/guests.h"
#include "guests/layout.h"
#include "native/guest_measurement.h"
#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

// An instruction breakpoint on the first instruction of the handler of #DB.
constexpr std::uint8_t kCode[] = {
    0x0f, 0x23, 0xc3,                    // mov dr0, ebx: the handler
    0x66, 0xb8, 0x01, 0x04, 0x00, 0x00,  // mov eax, L0
    0x0f, 0x23, 0xf8,                    // mov dr7, eax
    0x90,                                // handler: nop
    0xf4,                                // hlt
};
constexpr std::uint32_t kHandler = 12;
static_assert(kCode[kHandler] == 0x90);
constexpr std::uint32_t kMost = 1'000'000;  // far more than the timer takes
constexpr std::uint64_t kVectorEntry = 4;   // of #DB, 1, in the IVT

}  // namespace

void RunChainCheck(VmMaker& maker, CheckSink& sink) {
  constexpr char kName[] = "guest.endless_debug_exceptions";
  const char* why = "the guest cannot be loaded";
  NativeVm* const vm =
      maker.Make({.memory_bytes = WS_MEMORY_BYTES}, nullptr, &why);
  if (vm == nullptr ||
      LoadCode(*vm, 0, GuestMode::kReal, kCode, sizeof(kCode)) != Result::kOk) {
    if (vm != nullptr) maker.Destroy(vm);
    return sink.Check(kName, CheckVerdict::kFailed, why);
  }
  VcpuOps& vcpu = vm->vcpu(0);
  RegisterFile& file = vcpu.registers();
  const auto handler = static_cast<std::uint32_t>(file.general.rip + kHandler);
  __builtin_memcpy(vm->memory().At(kVectorEntry, sizeof(handler)), &handler,
                   sizeof(handler));
  file.general.rbx = handler;
  file.dirty |= kGeneralRegisters;
  const KickHandle handle = vcpu.kick_handle();
  std::uint32_t exceptions = 0;
  run_guard.Begin(handle);
  Exit exit;
  do {
    exit = vcpu.run();
    exceptions += exit.reason == ExitReason::kException ? 1 : 0;
  } while ((BackendResumes(vcpu, exit) ||
            exit.reason == ExitReason::kDebugRegister) &&
           exceptions < kMost);
  run_guard.End();
  maker.Destroy(vm);
  TextLine text;
  text.AppendDecimal(exceptions).Append(" exits for #DB, then ");
  DescribeExit(exit, &text);
  CheckVerdict verdict = CheckVerdict::kFailed;
  if (exit.reason == ExitReason::kInterrupted ||
      (exceptions == kMost && !run_guard.has_timer())) {
    verdict = CheckVerdict::kPassed;
  }
  if (exit.reason == ExitReason::kHlt && exceptions == 0) {
    verdict = CheckVerdict::kSkipped;
    text = TextLine().Append("an instruction breakpoint does nothing here");
  }
  sink.Check(kName, verdict, text.c_str());
}

}  // namespace worldswitch::native
