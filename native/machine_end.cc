#include "native/machine_end.h"

#include "native/console.h"
#include "native/cpu.h"
#include "native/log_format.h"

namespace worldswitch::native {
namespace {

constexpr std::uint16_t kDebugExitPort = 0xf4;
constexpr std::uint32_t kNobodyAnswers = 0xffffffff;
constexpr std::uint16_t kShutdownPort = 0x8900;

constinit bool has_shutdown_port = false;

}  // namespace

void SetShutdownPort(bool there) { has_shutdown_port = there; }

bool IsQemu() { return In32(kDebugExitPort) != kNobodyAnswers; }
bool IsBochs() { return has_shutdown_port && !IsQemu(); }

void EndMachine(std::uint32_t code) {
  DisableInterrupts();
  console.Text(native_log::kDone).Text(" ").Decimal(code).End();
  console.Drain();
  if (IsQemu()) Out32(kDebugExitPort, code);
  if (has_shutdown_port) {
    for (const char* at = "Shutdown"; *at != 0; ++at) {
      Out8(kShutdownPort, static_cast<std::uint8_t>(*at));
    }
  }
  for (;;) asm volatile("cli\n\thlt");
}

}  // namespace worldswitch::native
