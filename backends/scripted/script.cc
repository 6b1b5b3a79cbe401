#include "backends/scripted/script.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/suggest.h"

namespace worldswitch {
namespace {

struct NamedRegister {
  const char* name;
  std::uint64_t GeneralRegisters::*gpr;
};
constexpr NamedRegister kRegisters[] = {
    {"rax", &GeneralRegisters::rax}, {"rbx", &GeneralRegisters::rbx},
    {"rcx", &GeneralRegisters::rcx}, {"rdx", &GeneralRegisters::rdx},
    {"rsi", &GeneralRegisters::rsi}, {"rdi", &GeneralRegisters::rdi},
    {"rsp", &GeneralRegisters::rsp}, {"rbp", &GeneralRegisters::rbp},
    {"r8", &GeneralRegisters::r8},   {"r9", &GeneralRegisters::r9},
    {"r10", &GeneralRegisters::r10}, {"r11", &GeneralRegisters::r11},
    {"r12", &GeneralRegisters::r12}, {"r13", &GeneralRegisters::r13},
    {"r14", &GeneralRegisters::r14}, {"r15", &GeneralRegisters::r15},
    {"rip", &GeneralRegisters::rip}, {"rflags", &GeneralRegisters::rflags},
};

bool IsIoSize(std::uint8_t size) { return size == 1 || size == 2 || size == 4; }

bool IsMmioLength(std::size_t length) { return length >= 1 && length <= 8; }

// Whether a handler would follow a null pointer.
bool LacksData(const Exit& exit) {
  switch (exit.reason) {
    case ExitReason::kIo:
      return exit.io.data == nullptr;
    case ExitReason::kMmio:
      return exit.mmio.data == nullptr;
    case ExitReason::kRdmsr:
    case ExitReason::kWrmsr:
      return exit.msr.data == nullptr || exit.msr.inject_gp == nullptr;
    case ExitReason::kHyperv:
    case ExitReason::kXen:
      return exit.opaque == nullptr;
    default:
      return false;
  }
}

ScriptedStep ExitStep(ExitReason reason) {
  ScriptedStep step;
  step.exit = BlankExit(reason);
  return step;
}

}  // namespace

Exit BlankExit(ExitReason reason) {
  Exit exit;
  exit.memory_fault = {};  // the payload that covers all the others
  static_assert(sizeof(Exit) ==
                offsetof(Exit, memory_fault) + sizeof(MemoryFaultExit));
  exit.reason = reason;
  return exit;
}

Script& Script::Fail(const std::string& message) {
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(
        line_ == 0 ? message : absl::StrCat("line ", line_, ": ", message));
  }
  return *this;
}

Script& Script::Add(ScriptedStep step) {
  if (!status_.ok()) return *this;
  step.line = line_;
  steps_.push_back(std::move(step));
  return *this;
}

ScriptedStep* Script::LastExit(const char* what) {
  if (!status_.ok()) return nullptr;
  if (!steps_.empty() && steps_.back().kind == ScriptedStep::Kind::kExit) {
    return &steps_.back();
  }
  Fail(absl::StrCat(what, " must follow an exit"));
  return nullptr;
}

Script& Script::Out(std::uint16_t port, std::uint8_t size,
                    std::vector<std::uint8_t> data) {
  if (!IsIoSize(size)) return Fail("an I/O element has 1, 2 or 4 bytes");
  if (data.empty() || data.size() % size != 0) {
    return Fail(absl::StrCat("OUT needs data, whole elements of ", size,
                             " bytes; got ", data.size(), " bytes"));
  }
  ScriptedStep step = ExitStep(ExitReason::kIo);
  step.exit.io = {.is_write = true,
                  .size = size,
                  .port = port,
                  .count = static_cast<std::uint32_t>(data.size() / size),
                  .data = nullptr};
  step.data = std::move(data);
  return Add(std::move(step));
}

Script& Script::In(std::uint16_t port, std::uint8_t size, std::uint32_t count) {
  constexpr std::uint32_t kPage = 4096;
  if (!IsIoSize(size)) return Fail("an I/O element has 1, 2 or 4 bytes");
  if (count == 0 || count > kPage / size) {
    return Fail("IN reads at least one element, and at most a page");
  }
  ScriptedStep step = ExitStep(ExitReason::kIo);
  step.exit.io = {.is_write = false,
                  .size = size,
                  .port = port,
                  .count = count,
                  .data = nullptr};
  step.data.resize(std::size_t{count} * size);
  return Add(std::move(step));
}

Script& Script::MmioRead(std::uint64_t gpa, std::uint32_t length) {
  if (!IsMmioLength(length)) return Fail("an MMIO access has 1 to 8 bytes");
  ScriptedStep step = ExitStep(ExitReason::kMmio);
  step.exit.mmio = {
      .gpa = gpa, .data = nullptr, .length = length, .is_write = false};
  step.data.resize(length);
  return Add(std::move(step));
}

Script& Script::MmioWrite(std::uint64_t gpa, std::vector<std::uint8_t> data) {
  if (!IsMmioLength(data.size())) {
    return Fail("an MMIO access has 1 to 8 bytes");
  }
  ScriptedStep step = ExitStep(ExitReason::kMmio);
  step.exit.mmio = {.gpa = gpa,
                    .data = nullptr,
                    .length = static_cast<std::uint32_t>(data.size()),
                    .is_write = true};
  step.data = std::move(data);
  return Add(std::move(step));
}

Script& Script::Rdmsr(std::uint32_t index) {
  ScriptedStep step = ExitStep(ExitReason::kRdmsr);
  step.exit.msr.index = index;
  step.data.resize(sizeof(std::uint64_t));
  return Add(std::move(step));
}

Script& Script::Wrmsr(std::uint32_t index, std::uint64_t value) {
  ScriptedStep step = ExitStep(ExitReason::kWrmsr);
  step.exit.msr.index = index;
  step.data.resize(sizeof(value));
  std::memcpy(step.data.data(), &value, sizeof(value));
  return Add(std::move(step));
}

Script& Script::Hypercall(std::uint64_t number,
                          std::vector<std::uint64_t> arguments) {
  ScriptedStep step = ExitStep(ExitReason::kHypercall);
  step.exit.hypercall.number = number;
  step.arguments = std::move(arguments);
  step.data.resize(sizeof(std::uint64_t));
  return Add(std::move(step));
}

Script& Script::Hlt() { return Add(ExitStep(ExitReason::kHlt)); }

Script& Script::Unknown(std::uint64_t raw) {
  return Add(ExitStep(ExitReason::kUnknown)).Raw(raw);
}

Script& Script::Raise(const Exit& exit) {
  if (exit.reason >= ExitReason::kCount) return Fail("no such exit reason");
  if (LacksData(exit)) {
    return Fail(absl::StrCat("an exit of reason ", ExitReasonName(exit.reason),
                             " needs data that its payload points to"));
  }
  ScriptedStep step;
  step.exit = exit;
  step.is_borrowed = true;
  return Add(std::move(step));
}

Script& Script::Spin() { return AddChange(ScriptedStep::Kind::kSpin, 0); }

Script& Script::Raw(std::uint64_t raw) {
  if (ScriptedStep* step = LastExit("raw")) step->exit.raw = raw;
  return *this;
}

Script& Script::Times(std::uint32_t times) {
  if (times == 0) return Fail("times must be 1 or more");
  if (ScriptedStep* step = LastExit("times")) step->times = times;
  return *this;
}

Script& Script::Length(std::uint8_t bytes) {
  if (bytes > 15) return Fail("an instruction has at most 15 bytes");
  if (ScriptedStep* step = LastExit("length")) step->length = bytes;
  return *this;
}

Script& Script::Qualification(std::uint64_t value) {
  if (ScriptedStep* step = LastExit("qualification")) {
    step->qualification = {.known = true, .value = value};
  }
  return *this;
}

Script& Script::Info1(std::uint64_t value) {
  if (ScriptedStep* step = LastExit("info1")) {
    step->info1 = {.known = true, .value = value};
  }
  return *this;
}

Script& Script::Info2(std::uint64_t value) {
  if (ScriptedStep* step = LastExit("info2")) {
    step->info2 = {.known = true, .value = value};
  }
  return *this;
}

Script& Script::Undelivered() {
  ScriptedStep* step = LastExit("undelivered");
  if (step == nullptr) return *this;
  if (IsWithoutEntry(step->exit.reason)) {
    return Fail("undelivered is for exits that entered the guest");
  }
  step->is_undelivered = true;
  return *this;
}

Script& Script::Expect(std::vector<std::uint8_t> data) {
  ScriptedStep* step = LastExit("expect");
  if (step == nullptr) return *this;
  const ExitReason reason = step->exit.reason;
  const bool is_read =
      (reason == ExitReason::kIo && !step->exit.io.is_write) ||
      (reason == ExitReason::kMmio && !step->exit.mmio.is_write) ||
      reason == ExitReason::kRdmsr || reason == ExitReason::kHypercall;
  if (!is_read || step->is_borrowed) {
    return Fail("expect is for exits that the caller gives data to");
  }
  if (data.size() != step->data.size()) {
    return Fail(absl::StrCat("expect must have ", step->data.size(),
                             " bytes here; got ", data.size()));
  }
  step->expect = std::move(data);
  return *this;
}

Script& Script::ExpectValue(std::uint64_t value) {
  std::vector<std::uint8_t> data(sizeof(value));
  std::memcpy(data.data(), &value, sizeof(value));
  return Expect(std::move(data));
}

Script& Script::ExpectGp() {
  ScriptedStep* step = LastExit("expect_gp");
  if (step == nullptr) return *this;
  const ExitReason reason = step->exit.reason;
  if ((reason != ExitReason::kRdmsr && reason != ExitReason::kWrmsr) ||
      step->is_borrowed) {
    return Fail("expect_gp is for RDMSR and WRMSR");
  }
  step->expects_gp = true;
  return *this;
}

Script& Script::AddChange(ScriptedStep::Kind kind, std::uint64_t value) {
  ScriptedStep step;
  step.kind = kind;
  step.value = value;
  return Add(std::move(step));
}

Script& Script::Interrupts(bool on) {
  return AddChange(ScriptedStep::Kind::kInterrupts, on ? 1 : 0);
}

Script& Script::Shadow(bool on) {
  return AddChange(ScriptedStep::Kind::kShadow, on ? 1 : 0);
}

Script& Script::Nmis(bool accepted) {
  return AddChange(ScriptedStep::Kind::kNmis, accepted ? 1 : 0);
}

Script& Script::Injection(InjectResult result, std::int32_t error_number) {
  ScriptedStep step;
  step.kind = ScriptedStep::Kind::kInjection;
  step.injection = result;
  step.error_number = error_number;
  return Add(std::move(step));
}

Script& Script::Commit(std::int32_t error_number) {
  ScriptedStep step;
  step.kind = ScriptedStep::Kind::kCommit;
  step.error_number = error_number;
  return Add(std::move(step));
}

Script& Script::Register(const std::string& name, std::uint64_t value) {
  std::vector<std::string> known;
  for (const NamedRegister& each : kRegisters) {
    known.emplace_back(each.name);
    if (name != each.name) continue;
    ScriptedStep step;
    step.kind = ScriptedStep::Kind::kRegister;
    step.gpr = each.gpr;
    step.value = value;
    return Add(std::move(step));
  }
  return Fail(
      absl::StrCat("no register \"", name, "\"", KnownNames(name, known)));
}

}  // namespace worldswitch
