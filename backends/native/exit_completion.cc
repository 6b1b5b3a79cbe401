#include "backends/native/exit_completion.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kDirectionFlag = 1 << 10;
constexpr std::uint64_t kPageMask = 4095;

std::uint64_t AddressMask(std::uint8_t bytes) {
  return bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
}

}  // namespace

void ExitCompletion::BeginSkip(std::uint8_t instruction_length) {
  kind_ = Kind::kSkip;
  length_ = instruction_length;
}

IoExit ExitCompletion::BeginIo(const PortAccess& access,
                               const GeneralRegisters& registers) {
  kind_ = access.is_write ? Kind::kSkip : Kind::kIn;
  length_ = access.instruction_length;
  access_.size = access.size;
  value_ = access.is_write ? registers.rax : 0;
  return {.is_write = access.is_write,
          .size = access.size,
          .port = access.port,
          .count = 1,
          .data = &value_};
}

bool ExitCompletion::BeginStringIo(const PortAccess& access,
                                   const GuestView& view,
                                   const GeneralRegisters& registers,
                                   IoExit* exit) {
  const std::uint64_t mask = AddressMask(access.address_bytes);
  const std::uint64_t pointer =
      (access.is_write ? registers.rsi : registers.rdi) & mask;
  const bool down = (registers.rflags & kDirectionFlag) != 0;
  const std::uint64_t left = access.repeats ? registers.rcx & mask : 1;
  const std::uint64_t linear = access.segment_base + pointer;
  // Downwards, one element an exit: their order in the data stays the guest's.
  const std::uint64_t room =
      down ? access.size : kPageMask + 1 - (linear & kPageMask);
  std::uint64_t elements = room / access.size;
  if (elements == 0) elements = 1;  // one that crosses the page's end
  if (elements > left) elements = left;
  const std::size_t bytes = elements * access.size;
  // Both directions need it readable; INS writes there at the end.
  if (view.Read(linear, string_, bytes) != bytes) return false;
  guest_ = nullptr;
  if (!access.is_write) {
    if (!view.Find(linear, bytes, &guest_)) return false;
    __builtin_memset(string_, 0, bytes);
  }
  kind_ = Kind::kString;
  access_ = access;
  length_ = access.instruction_length;
  elements_ = static_cast<std::uint32_t>(elements);
  *exit = {.is_write = access.is_write,
           .size = access.size,
           .port = access.port,
           .count = elements_,
           .data = string_};
  return true;
}

MmioExit ExitCompletion::BeginMmio(const MemoryInstruction& instruction,
                                   std::uint64_t gpa,
                                   const GeneralRegisters& registers) {
  kind_ = Kind::kMmio;
  instruction_ = instruction;
  stage_ = instruction.is_read_modify_write() ? Stage::kRead : Stage::kNone;
  gpa_ = gpa;
  length_ = instruction.length;
  value_ = instruction.is_write() ? StoredValue(instruction, registers) : 0;
  return {.gpa = gpa,
          .data = &value_,
          .length = instruction.access_bytes,
          .is_write = instruction.is_write()};
}

bool ExitCompletion::NextAccess(const GeneralRegisters& registers,
                                MmioExit* exit) {
  if (!mid_instruction()) return false;
  stage_ = Stage::kWrite;
  read_ = value_;
  value_ = Compute(instruction_, read_, registers).value;
  *exit = {.gpa = gpa_,
           .data = &value_,
           .length = instruction_.access_bytes,
           .is_write = true};
  return true;
}

MsrExit ExitCompletion::BeginMsr(bool is_write, std::uint8_t instruction_length,
                                 const GeneralRegisters& registers) {
  kind_ = is_write ? Kind::kWrmsr : Kind::kRdmsr;
  length_ = instruction_length;
  inject_gp_ = 0;
  value_ = is_write ? (registers.rdx << 32) | (registers.rax & 0xffff'ffff) : 0;
  return {.index = static_cast<std::uint32_t>(registers.rcx),
          .engine_reason = 0,
          .data = &value_,
          .inject_gp = &inject_gp_};
}

ExitCompletion::Effect ExitCompletion::Finish(GeneralRegisters& registers) {
  const Kind kind = kind_;
  kind_ = Kind::kNone;
  switch (kind) {
    case Kind::kNone:
      return {};
    case Kind::kSkip:
      break;
    case Kind::kIn:
      SetRegister(registers.rax, value_, access_.size);
      break;
    case Kind::kString: {
      const std::uint64_t bytes = std::uint64_t{elements_} * access_.size;
      if (guest_ != nullptr) __builtin_memcpy(guest_, string_, bytes);
      const bool down = (registers.rflags & kDirectionFlag) != 0;
      std::uint64_t& pointer = access_.is_write ? registers.rsi : registers.rdi;
      SetRegister(pointer, down ? pointer - bytes : pointer + bytes,
                  access_.address_bytes);
      if (!access_.repeats) break;
      SetRegister(registers.rcx, registers.rcx - elements_,
                  access_.address_bytes);
      if ((registers.rcx & AddressMask(access_.address_bytes)) != 0) return {};
      break;
    }
    case Kind::kMmio:
      if (stage_ == Stage::kWrite) value_ = read_;
      if (!FinishMemoryInstruction(instruction_, value_, registers)) return {};
      break;
    case Kind::kRdmsr:
    case Kind::kWrmsr:
      if (inject_gp_ != 0) return {.general_protection = true};
      if (kind == Kind::kRdmsr) {
        SetRegister(registers.rax, value_, 4);
        SetRegister(registers.rdx, value_ >> 32, 4);
      }
      break;
  }
  return {.advance = length_};
}

}  // namespace worldswitch
