#include "native/interrupts.h"

#include "guests/guests.h"
#include "native/activity.h"
#include "native/console.h"
#include "native/cpu.h"
#include "native/log_format.h"
#include "native/machine_end.h"
#include "native/machine_layout.h"

extern "C" {
extern const std::uint8_t ws_interrupt_stubs[];
// boot.S calls it.
void ws_interrupt(worldswitch::native::InterruptFrame* frame);
}

namespace worldswitch::native {
namespace {

constexpr std::size_t kStubBytes = 16;
constexpr std::uint8_t kDebug = 1;
constexpr std::uint8_t kNmi = 2;
constexpr std::uint64_t kTrapFlag = 1u << 8;
constexpr std::uint16_t kPicMasks[] = {0x21, 0xa1};

// SDM 3A, 6.14.1.
struct Gate {
  std::uint16_t offset_low;
  std::uint16_t selector;
  // IST; none: SVM's lazy VMLOAD leaves a guest's TR in the CPU, and nothing of
  // the host's may depend on it.
  std::uint8_t stack;
  std::uint8_t type;
  std::uint16_t offset_middle;
  std::uint32_t offset_high;
  std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);
constexpr std::uint8_t kInterruptGate = 0x8e;  // present, DPL 0

struct Handler {
  InterruptHandler function;
  void* context;
};

alignas(16) constinit Gate idt[kVectors] = {};
constinit Handler handlers[kVectors] = {};
constinit std::uint64_t stray = 0;
constinit std::uint64_t nmis = 0;
constinit std::uint64_t debug_exceptions = 0;
constinit bool reporting = false;

void Row(const char* name0, std::uint64_t value0, const char* name1,
         std::uint64_t value1) {
  console.Text("  ").Left(name0, 7).Hex(value0).Text("  ");
  console.Left(name1, 7).Hex(value1).End();
}

[[noreturn]] void ReportException(const InterruptFrame& frame) {
  const std::uint64_t cr2 = ReadCr2();
  // One that comes while it is reported: no more than the end.
  if (!reporting) {
    reporting = true;
    console.End().Text("exception ").Decimal(frame.vector).Text(" ");
    console.Text(ExceptionName(static_cast<std::uint32_t>(frame.vector)));
    console.Text(" in the image, error code ").Hex(frame.error_code);
    console.Text(", at rip ").Hex(frame.rip).End();
    console.Text("  during: ").Text(activity.what).Text(" ");
    console.Decimal(activity.number).End();
    Row("cr2", cr2, "rflags", frame.rflags);
    Row("cs", frame.cs, "ss", frame.ss);
    Row("cr0", ReadCr0(), "cr3", ReadCr3());
    Row("cr4", ReadCr4(), "rsp", frame.rsp);
    Row("rax", frame.rax, "rbx", frame.rbx);
    Row("rcx", frame.rcx, "rdx", frame.rdx);
    Row("rsi", frame.rsi, "rdi", frame.rdi);
    Row("rbp", frame.rbp, "r8", frame.r8);
    Row("r9", frame.r9, "r10", frame.r10);
    Row("r11", frame.r11, "r12", frame.r12);
    Row("r13", frame.r13, "r14", frame.r14);
    console.Text("  ").Left("r15", 7).Hex(frame.r15).End();
  }
  EndMachine(native_log::kDoneFailed);
}

}  // namespace

void SetUpInterrupts() {
  for (std::size_t vector = 0; vector < kVectors; ++vector) {
    const auto stub = reinterpret_cast<std::uint64_t>(ws_interrupt_stubs) +
                      vector * kStubBytes;
    idt[vector] = {.offset_low = static_cast<std::uint16_t>(stub),
                   .selector = WS_CODE_SELECTOR,
                   .stack = 0,
                   .type = kInterruptGate,
                   .offset_middle = static_cast<std::uint16_t>(stub >> 16),
                   .offset_high = static_cast<std::uint32_t>(stub >> 32),
                   .reserved = 0};
  }
  LoadIdtr(
      {.limit = sizeof(idt) - 1, .base = reinterpret_cast<std::uint64_t>(idt)});
  for (const std::uint16_t port : kPicMasks) Out8(port, 0xff);
}

void SetInterruptHandler(std::uint8_t vector, InterruptHandler handler,
                         void* context) {
  handlers[vector] = {.function = handler, .context = context};
}

void DispatchInterrupt(std::uint8_t vector) {
  const Handler& handler = handlers[vector];
  if (handler.function == nullptr) {
    ++stray;
  } else {
    handler.function(handler.context);
  }
}

std::uint64_t StrayInterrupts() { return stray; }
std::uint64_t NmisTaken() { return nmis; }
std::uint64_t DebugExceptionsTaken() { return debug_exceptions; }

// Whatever came through a gate.
static void TakeInterrupt(InterruptFrame& frame) {
  if (frame.vector == kNmi) {
    ++nmis;
  } else if (frame.vector == kDebug) {
    ++debug_exceptions;
    DisarmBreakpoints();
    frame.rflags &= ~kTrapFlag;
  } else if (frame.vector < kFirstInterruptVector) {
    ReportException(frame);
  } else {
    DispatchInterrupt(static_cast<std::uint8_t>(frame.vector));
  }
}

}  // namespace worldswitch::native

void ws_interrupt(worldswitch::native::InterruptFrame* frame) {
  worldswitch::native::TakeInterrupt(*frame);
}
