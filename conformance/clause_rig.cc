#include "conformance/clause_rig.h"

#include <atomic>
#include <cstddef>

extern "C" {
extern const std::uint8_t ws_clause_real_begin[];
extern const std::uint8_t ws_clause_real_end[];
extern const std::uint8_t ws_clause_long_begin[];
extern const std::uint8_t ws_clause_long_end[];
#define WS_CLAUSE_GUEST_EXTERN(name)                           \
  extern const std::uint8_t ws_clause_real_##name##_start[];   \
  extern const std::uint8_t ws_clause_real_##name##_mark[];    \
  extern const std::uint8_t ws_clause_real_##name##_handler[]; \
  extern const std::uint8_t ws_clause_long_##name##_start[];   \
  extern const std::uint8_t ws_clause_long_##name##_mark[];    \
  extern const std::uint8_t ws_clause_long_##name##_handler[];
WS_CLAUSE_GUESTS(WS_CLAUSE_GUEST_EXTERN)
#undef WS_CLAUSE_GUEST_EXTERN
}

namespace worldswitch {
namespace {

constexpr std::uint32_t kVectors = 256;
constexpr std::uint32_t kFirstFreeVector = 32;
constexpr std::uint32_t kReservedVector = 15;  // its stub reports the rest
constexpr std::uint32_t kPlaces = 3;
// So many unasked kInterrupted in a row are taken for signals of the host.
constexpr int kSparedInterruptions = 2;

struct Places {
  const std::uint8_t* real[kPlaces];
  const std::uint8_t* long_mode[kPlaces];
};

const Places& PlacesOf(ClauseGuest guest) {
  static const Places kAll[] = {
#define WS_CLAUSE_GUEST_PLACES(name)                             \
  {{ws_clause_real_##name##_start, ws_clause_real_##name##_mark, \
    ws_clause_real_##name##_handler},                            \
   {ws_clause_long_##name##_start, ws_clause_long_##name##_mark, \
    ws_clause_long_##name##_handler}},
      WS_CLAUSE_GUESTS(WS_CLAUSE_GUEST_PLACES)
#undef WS_CLAUSE_GUEST_PLACES
  };
  return kAll[static_cast<std::size_t>(guest)];
}

const char* ResultName(Result result) {
  switch (result) {
    case Result::kOk:
      return "kOk";
    case Result::kUnsupported:
      return "kUnsupported";
    case Result::kError:
      return "kError";
  }
  return "(no such result)";
}

const char* InjectResultName(InjectResult result) {
  switch (result) {
    case InjectResult::kOk:
      return "kOk";
    case InjectResult::kBlocked:
      return "kBlocked";
    case InjectResult::kBusy:
      return "kBusy";
    case InjectResult::kInvalid:
      return "kInvalid";
    case InjectResult::kUnsupported:
      return "kUnsupported";
    case InjectResult::kError:
      return "kError";
  }
  return "(no such result)";
}

// Says of an exit what tells it from others.
void Describe(const Exit& exit, TextLine* text) {
  text->Append(ExitReasonName(exit.reason));
  switch (exit.reason) {
    case ExitReason::kIo:
      text->Append(exit.io.is_write ? " (OUT" : " (IN")
          .Append(" of ")
          .AppendDecimal(exit.io.count)
          .Append(" times ")
          .AppendDecimal(exit.io.size)
          .Append(" bytes, port ")
          .AppendHex(exit.io.port);
      if (exit.io.is_write) {
        text->Append(", data ").AppendHex(ReadData(exit.io.data, exit.io.size));
      }
      text->Append(")");
      break;
    case ExitReason::kMmio:
      text->Append(exit.mmio.is_write ? " (write of " : " (read of ")
          .AppendDecimal(exit.mmio.length)
          .Append(" bytes at ")
          .AppendHex(exit.mmio.gpa)
          .Append(")");
      break;
    case ExitReason::kInterrupted:
    case ExitReason::kRetry:
    case ExitReason::kError:
      text->Append(" (errno ")
          .AppendDecimal(static_cast<std::uint64_t>(exit.error.error_number))
          .Append(")");
      break;
    case ExitReason::kInternalError:
      text->Append(" (suberror ")
          .AppendDecimal(exit.internal_error.suberror)
          .Append(")");
      break;
    default:
      text->Append(" (raw ").AppendHex(exit.raw).Append(")");
      break;
  }
}

bool IsFaultReport(const Exit& exit) {
  return exit.reason == ExitReason::kIo && exit.io.is_write &&
         exit.io.port == WS_PORT_FAULT;
}

}  // namespace

std::uint64_t ReadData(const void* data, std::uint32_t bytes) {
  const auto* from = static_cast<const std::uint8_t*>(data);
  std::uint64_t value = 0;
  for (std::uint32_t i = 0; i < bytes; ++i) {
    value |= std::uint64_t{from[i]} << (8 * i);
  }
  return value;
}

void WriteData(void* data, std::uint64_t value, std::uint32_t bytes) {
  auto* to = static_cast<std::uint8_t*>(data);
  for (std::uint32_t i = 0; i < bytes; ++i) {
    to[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

// ---- The VM -----------------------------------------------------------------

bool ClauseRig::TakeVm(VmOps* vm, std::uint32_t vcpus, const char* why) {
  vm_ = vm;
  if (vm == nullptr) return Skip(why);
  if (vm->vcpu_count() == vcpus && vcpus <= kMaxVcpus) return true;
  return Skip("the host made a VM with another number of vCPUs");
}

bool ClauseRig::MakeVm(std::uint32_t vcpus) {
  const char* why = "";
  const VmNeeds needs = {.memory_bytes = WS_MEMORY_BYTES, .vcpus = vcpus};
  VmOps* vm = host_.MakeVm(needs, &why);
  return TakeVm(vm, vcpus, why);
}

bool ClauseRig::MakeVmOfUnknownExit(std::uint64_t raw) {
  const char* why = "";
  VmOps* vm = host_.MakeVmOfUnknownExit(raw, &why);
  return TakeVm(vm, 1, why);
}

void ClauseRig::DestroyVm() {
  if (vm_ != nullptr) host_.DestroyVm(vm_);
  vm_ = nullptr;
}

bool ClauseRig::Load(ClauseGuest guest, const GuestStart& start) {
  const std::uint8_t* begin =
      is_long() ? ws_clause_long_begin : ws_clause_real_begin;
  const std::uint8_t* end = is_long() ? ws_clause_long_end : ws_clause_real_end;
  const Result loaded =
      LoadCode(*vm_, start.vcpu_index, mode_, begin,
               static_cast<std::uint32_t>(end - begin), start.interrupts_on);
  if (!ExpectResult("loading a guest", Result::kOk, loaded)) return false;
  RegisterFile& registers = vcpu(start.vcpu_index).registers();
  code_base_ = registers.general.rip;
  for (std::uint32_t v = kFirstFreeVector; v < kVectors; ++v) {
    const std::uint64_t size = is_long() ? 16 : 4;
    const std::uint64_t table = is_long() ? WS_IDT : 0;
    __builtin_memcpy(Bytes(table + v * size, size),
                     Bytes(table + kReservedVector * size, size), size);
  }
  registers.general.rip = AddressOf(guest, GuestPlace::kStart);
  registers.general.rax = start.rax;
  registers.general.rcx = start.rcx;
  registers.general.rsi = start.rsi;
  registers.general.rdi = start.rdi;
  registers.dirty |= kGeneralRegisters;
  return ExpectResult("setting a guest's first registers", Result::kOk,
                      vcpu(start.vcpu_index).commit_registers());
}

std::uint64_t ClauseRig::AddressOf(ClauseGuest guest, GuestPlace place) const {
  const Places& places = PlacesOf(guest);
  const auto index = static_cast<std::size_t>(place);
  const std::uint8_t* at =
      is_long() ? places.long_mode[index] : places.real[index];
  const std::uint8_t* begin =
      is_long() ? ws_clause_long_begin : ws_clause_real_begin;
  return code_base_ + static_cast<std::uint64_t>(at - begin);
}

void ClauseRig::SetHandler(std::uint32_t vector, ClauseGuest guest) {
  // Below 64 KiB, so that the low 16 bits of the gate are all of the offset.
  const std::uint64_t address = AddressOf(guest, GuestPlace::kHandler);
  if (is_long()) {
    std::byte* gate = Bytes(WS_IDT + vector * std::uint64_t{16}, 16);
    __builtin_memcpy(gate, Bytes(WS_IDT + kReservedVector * 16, 16), 16);
    WriteData(gate, address, 2);
  } else {
    WriteData(Bytes(vector * std::uint64_t{4}, 4), address, 4);
  }
}

std::uint32_t ClauseRig::Read32(std::uint64_t gpa) {
  auto* word = reinterpret_cast<std::uint32_t*>(Bytes(gpa, 4));
  return std::atomic_ref<std::uint32_t>(*word).load(std::memory_order_acquire);
}

std::uint64_t ClauseRig::Read64(std::uint64_t gpa) {
  return ReadData(Bytes(gpa, 8), 8);
}

void ClauseRig::Write32(std::uint64_t gpa, std::uint32_t value) {
  auto* word = reinterpret_cast<std::uint32_t*>(Bytes(gpa, 4));
  std::atomic_ref<std::uint32_t>(*word).store(value, std::memory_order_release);
}

// ---- Runs -------------------------------------------------------------------

Exit ClauseRig::Run(std::uint32_t vcpu_index) {
  VcpuOps& runs = vcpu(vcpu_index);
  for (;;) {
    host_.BeginRun(vm_, vcpu_index);
    const Exit exit = runs.run();
    hung_[vcpu_index] = host_.EndRun(vm_, vcpu_index);
    // What the backend deals with by itself, a host's interrupt or the IRET
    // that ends an NMI's handler, is no exit of the guest's.
    if (!BackendResumes(runs, exit) || hung_[vcpu_index]) return exit;
  }
}

bool ClauseRig::RunTo(ExitReason reason, Exit* exit) {
  for (int spared = 0;; ++spared) {
    *exit = Run();
    const bool unasked = exit->reason == ExitReason::kInterrupted &&
                         reason != ExitReason::kInterrupted && !hung();
    if (!unasked || spared == kSparedInterruptions) break;
  }
  return ExpectExit(*exit, reason);
}

bool ClauseRig::RunToAnyOut(std::uint16_t port, Exit* exit) {
  if (!RunTo(ExitReason::kIo, exit)) return false;
  const IoExit& io = exit->io;
  if (io.is_write && io.port == port && io.count == 1) return true;
  TextLine text;
  text.Append("expected one OUT to port ").AppendHex(port).Append(", seen ");
  Describe(*exit, &text);
  return Fail(text);
}

bool ClauseRig::RunToOut(std::uint16_t port, std::uint32_t value) {
  Exit exit;
  if (!RunToAnyOut(port, &exit)) return false;
  const std::uint64_t expected = Low(value, exit.io.size);
  if (ReadData(exit.io.data, exit.io.size) == expected) return true;
  TextLine text;
  text.Append("expected an OUT of ").AppendHex(expected).Append(", seen ");
  Describe(exit, &text);
  return Fail(text);
}

bool ClauseRig::RunToIn(std::uint16_t port, std::uint32_t value) {
  Exit exit;
  if (!RunTo(ExitReason::kIo, &exit)) return false;
  const IoExit& io = exit.io;
  if (!io.is_write && io.port == port && io.count == 1) {
    WriteData(io.data, value, io.size);
    return true;
  }
  TextLine text;
  text.Append("expected one IN from port ").AppendHex(port).Append(", seen ");
  Describe(exit, &text);
  return Fail(text);
}

bool ClauseRig::RunToMmioRead(std::uint64_t gpa, std::uint32_t length,
                              std::uint64_t value) {
  Exit exit;
  if (!RunTo(ExitReason::kMmio, &exit)) return false;
  const MmioExit& mmio = exit.mmio;
  if (!mmio.is_write && mmio.gpa == gpa && mmio.length == length) {
    WriteData(mmio.data, value, length);
    return true;
  }
  TextLine text;
  text.Append("expected an MMIO read of ")
      .AppendDecimal(length)
      .Append(" bytes at ")
      .AppendHex(gpa)
      .Append(", seen ");
  Describe(exit, &text);
  return Fail(text);
}

bool ClauseRig::RunToMmioWrite(std::uint64_t gpa, std::uint32_t length,
                               std::uint64_t value) {
  Exit exit;
  if (!RunTo(ExitReason::kMmio, &exit)) return false;
  const MmioExit& mmio = exit.mmio;
  if (mmio.is_write && mmio.gpa == gpa && mmio.length == length) {
    return ExpectEqual("the data of an MMIO write", Low(value, length),
                       ReadData(mmio.data, length));
  }
  TextLine text;
  text.Append("expected an MMIO write of ")
      .AppendDecimal(length)
      .Append(" bytes at ")
      .AppendHex(gpa)
      .Append(", seen ");
  Describe(exit, &text);
  return Fail(text);
}

// ---- Expectations -----------------------------------------------------------

bool ClauseRig::ExpectExit(const Exit& exit, ExitReason reason) {
  if (exit.reason == reason && !IsFaultReport(exit)) return true;
  TextLine text;
  text.Append("expected the exit ").Append(ExitReasonName(reason));
  if (IsFaultReport(exit)) {
    const GuestFault fault = ReadGuestFault(*vm_, mode_);
    text.Append("; the guest took ")
        .Append(ExceptionName(fault.vector))
        .Append(", error code ")
        .AppendHex(fault.error_code)
        .Append(", at ")
        .AppendHex(fault.rip);
    return Fail(text);
  }
  text.Append(", seen ");
  Describe(exit, &text);
  if (hung()) text.Append(": the guest hung, and the host had to kick it");
  return Fail(text);
}

bool ClauseRig::Expect(bool holds, const char* what) {
  return holds ||
         Fail(TextLine().Append("expected, and not so: ").Append(what));
}

bool ClauseRig::ExpectEqual(const char* what, std::uint64_t expected,
                            std::uint64_t seen) {
  if (expected == seen) return true;
  return Fail(TextLine()
                  .Append(what)
                  .Append(": expected ")
                  .AppendHex(expected)
                  .Append(", seen ")
                  .AppendHex(seen));
}

bool ClauseRig::ExpectResult(const char* what, Result expected, Result seen) {
  if (expected == seen) return true;
  return Fail(TextLine()
                  .Append(what)
                  .Append(": expected ")
                  .Append(ResultName(expected))
                  .Append(", seen ")
                  .Append(ResultName(seen)));
}

bool ClauseRig::ExpectInject(const char* what, InjectResult expected,
                             InjectResult seen) {
  if (expected == seen) return true;
  return Fail(TextLine()
                  .Append(what)
                  .Append(": expected ")
                  .Append(InjectResultName(expected))
                  .Append(", seen ")
                  .Append(InjectResultName(seen)));
}

bool ClauseRig::Fetch(RegisterSet groups) {
  return ExpectResult("fetch_registers", Result::kOk,
                      vcpu().fetch_registers(groups)) &&
         ExpectEqual("the groups cached by fetch_registers", groups,
                     file().cached & groups);
}

bool ClauseRig::Fail(const TextLine& text) {
  if (outcome_.verdict == ClauseVerdict::kPassed) {
    outcome_.verdict = ClauseVerdict::kFailed;
    outcome_.text = text;
  }
  return false;
}

bool ClauseRig::Skip(const TextLine& text) {
  if (outcome_.verdict == ClauseVerdict::kPassed) {
    outcome_.verdict = ClauseVerdict::kSkipped;
    outcome_.text = text;
  }
  return false;
}

}  // namespace worldswitch
