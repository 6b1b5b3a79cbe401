#include "guests/guests.h"

#include <cstddef>

extern "C" {
extern const std::uint8_t ws_guest_begin[];
extern const std::uint8_t ws_guest_end[];
extern const std::uint8_t ws_real_stamp_handler[];
extern const std::uint8_t ws_long_stamp_handler[];
extern const std::uint8_t ws_real_apic_handler[];
extern const std::uint8_t ws_long_apic_handler[];
extern const std::uint8_t ws_real_held_handler[];
extern const std::uint8_t ws_long_held_handler[];
extern const std::uint8_t ws_real_fault_stubs[];
extern const std::uint8_t ws_long_fault_stubs[];
#define WS_PAYLOAD_EXTERN(name)               \
  extern const std::uint8_t ws_real_##name[]; \
  extern const std::uint8_t ws_long_##name[];
WS_PAYLOADS(WS_PAYLOAD_EXTERN)
#undef WS_PAYLOAD_EXTERN
}

namespace worldswitch {
namespace {

constexpr std::uint32_t kFaultStubBytes = 16;
constexpr std::uint32_t kExceptionVectors = 32;
constexpr std::uint32_t kVectors = 256;
constexpr std::uint32_t kNmiVector = 2;
// Where LoadCode puts the caller's code: behind the payloads, same segment.
constexpr std::uint64_t kOwnCode = WS_CODE_LIMIT - kMaxOwnCode;

// CR0, CR4, EFER and RFLAGS bits (SDM 3A, 2.5; SDM 1, 3.4.3).
constexpr std::uint64_t kCr0Pe = 1u << 0;
constexpr std::uint64_t kCr0Mp = 1u << 1;
constexpr std::uint64_t kCr0Et = 1u << 4;
constexpr std::uint64_t kCr0Ne = 1u << 5;
constexpr std::uint64_t kCr0Wp = 1u << 16;
constexpr std::uint64_t kCr0Pg = 1u << 31;
constexpr std::uint64_t kCr4Pae = 1u << 5;
constexpr std::uint64_t kCr4Osfxsr = 1u << 9;
constexpr std::uint64_t kEferLme = 1u << 8;
constexpr std::uint64_t kEferLma = 1u << 10;
constexpr std::uint64_t kRflagsFixed = 1u << 1;
constexpr std::uint64_t kRflagsIf = 1u << 9;
constexpr std::uint64_t kRflagsIopl3 = 3u << 12;

// Page-table entry bits.
constexpr std::uint64_t kPresent = 1u << 0;
constexpr std::uint64_t kWritable = 1u << 1;
constexpr std::uint64_t kUser = 1u << 2;
constexpr std::uint64_t kAccessed = 1u << 5;
constexpr std::uint64_t kDirty = 1u << 6;
constexpr std::uint64_t kLargePage = 1u << 7;

// Selectors in our GDT.
constexpr std::uint16_t kKernelCode = 0x08;
constexpr std::uint16_t kKernelData = 0x10;
constexpr std::uint16_t kUserData = 0x18 | 3;
constexpr std::uint16_t kUserCode = 0x20 | 3;
constexpr std::uint16_t kTaskState = 0x28;

// Access rights, VMX format.
constexpr std::uint32_t kRightsCode64 = 0xa09b;
constexpr std::uint32_t kRightsCode64User = 0xa0fb;
constexpr std::uint32_t kRightsData = 0xc093;
constexpr std::uint32_t kRightsDataUser = 0xc0f3;
constexpr std::uint32_t kRightsTss = 0x8b;
constexpr std::uint32_t kRightsLdtUnusable = 0x10082;
constexpr std::uint32_t kRightsRealCode = 0x9b;
constexpr std::uint32_t kRightsRealData = 0x93;

constexpr std::uint32_t kTssBytes = 104;
constexpr std::uint32_t kIoBitmapBytes = 8192;
constexpr std::uint32_t kTssLimit = kTssBytes + kIoBitmapBytes;  // + 1 byte

struct EntryPoints {
  const char* name;
  const std::uint8_t* real;
  const std::uint8_t* long_mode;
};

const EntryPoints& EntryOf(Payload payload) {
  static const EntryPoints kEntries[] = {
#define WS_PAYLOAD_ENTRY(name) {#name, ws_real_##name, ws_long_##name},
      WS_PAYLOADS(WS_PAYLOAD_ENTRY)
#undef WS_PAYLOAD_ENTRY
  };
  return kEntries[static_cast<std::size_t>(payload)];
}

std::uint64_t GuestAddress(const std::uint8_t* symbol) {
  return WS_CODE + static_cast<std::uint64_t>(symbol - ws_guest_begin);
}

// Writes little-endian values into guest memory that is known to be there.
class Writer {
 public:
  explicit Writer(std::byte* base) : base_(base) {}
  void Put(std::uint64_t gpa, std::uint64_t value, std::uint32_t bytes) {
    for (std::uint32_t i = 0; i < bytes; ++i) {
      base_[gpa + i] = static_cast<std::byte>(value >> (8 * i));
    }
  }
  void Put64(std::uint64_t gpa, std::uint64_t value) { Put(gpa, value, 8); }
  void Copy(std::uint64_t gpa, const void* from, std::uint64_t bytes) {
    __builtin_memcpy(base_ + gpa, from, bytes);
  }
  void Clear(std::uint64_t gpa, std::uint64_t bytes) {
    __builtin_memset(base_ + gpa, 0, bytes);
  }

 private:
  std::byte* base_;
};

// Which handler a vector gets: the stamping one, or a fault stub; null: none.
const std::uint8_t* HandlerOf(std::uint32_t vector, bool long_mode) {
  if (vector == WS_IRQ_VECTOR || vector == kNmiVector) {
    return long_mode ? ws_long_stamp_handler : ws_real_stamp_handler;
  }
  if (vector == WS_APIC_VECTOR) {
    return long_mode ? ws_long_apic_handler : ws_real_apic_handler;
  }
  if (vector == WS_HELD_VECTOR) {
    return long_mode ? ws_long_held_handler : ws_real_held_handler;
  }
  if (vector < kExceptionVectors) {
    return (long_mode ? ws_long_fault_stubs : ws_real_fault_stubs) +
           std::size_t{vector} * kFaultStubBytes;
  }
  return nullptr;
}

void WriteRealVectors(Writer& memory) {
  for (std::uint32_t vector = 0; vector < kVectors; ++vector) {
    const std::uint8_t* handler = HandlerOf(vector, false);
    memory.Put(std::uint64_t{vector} * 4,
               handler == nullptr ? 0 : GuestAddress(handler), 4);
  }
}

void WriteLongTables(Writer& memory) {
  // GDT: null, ring-0 code and data, ring-3 data and code, TSS (16 bytes).
  memory.Put64(WS_GDT, 0);
  memory.Put64(WS_GDT + kKernelCode, 0x00af9b000000ffff);
  memory.Put64(WS_GDT + kKernelData, 0x00cf93000000ffff);
  memory.Put64(WS_GDT + (kUserData & ~7u), 0x00cff3000000ffff);
  memory.Put64(WS_GDT + (kUserCode & ~7u), 0x00affb000000ffff);
  memory.Put64(WS_GDT + kTaskState, kTssLimit | std::uint64_t{WS_TSS} << 16 |
                                        std::uint64_t{kRightsTss} << 40);
  memory.Put64(WS_GDT + kTaskState + 8, 0);

  // TSS: RSP0, and an I/O bitmap that allows every port, ended by a byte of
  // ones (SDM 1, "I/O Permission Bit Map").
  memory.Clear(WS_TSS, kTssBytes + kIoBitmapBytes);
  memory.Put64(WS_TSS + 4, WS_KERNEL_STACK_TOP);
  memory.Put(WS_TSS + 102, kTssBytes, 2);
  memory.Put(WS_TSS + kTssBytes + kIoBitmapBytes, 0xff, 1);

  // IDT: 64-bit interrupt gates, callable from any ring.
  memory.Clear(WS_IDT, std::uint64_t{kVectors} * 16);
  for (std::uint32_t vector = 0; vector < kVectors; ++vector) {
    const std::uint8_t* handler = HandlerOf(vector, true);
    if (handler == nullptr) continue;
    const std::uint64_t offset = GuestAddress(handler);
    memory.Put64(WS_IDT + std::uint64_t{vector} * 16,
                 (offset & 0xffff) | std::uint64_t{kKernelCode} << 16 |
                     std::uint64_t{0xee00} << 32 | (offset >> 16) << 48);
  }

  // Identity map with 2 MiB pages of the first GiB, and of the fourth, where
  // the APICs lie; open to ring 3.
  constexpr std::uint64_t kTable = kPresent | kWritable | kUser | kAccessed;
  constexpr std::uint64_t kApicGib = 3;  // it begins at 3 GiB
  memory.Clear(WS_PML4, 4096);
  memory.Clear(WS_PDPT, 4096);
  memory.Put64(WS_PML4, WS_PDPT | kTable);
  memory.Put64(WS_PDPT, WS_PAGE_DIRECTORY | kTable);
  memory.Put64(WS_PDPT + kApicGib * 8, WS_APIC_DIRECTORY | kTable);
  for (std::uint64_t i = 0; i < 512; ++i) {
    const std::uint64_t attributes = kTable | kDirty | kLargePage;
    memory.Put64(WS_PAGE_DIRECTORY + i * 8, i << 21 | attributes);
    memory.Put64(WS_APIC_DIRECTORY + i * 8,
                 (kApicGib << 30 | i << 21) | attributes);
  }
}

void SetRealMode(SpecialRegisters& special) {
  const Segment data = {.base = 0,
                        .limit = 0xffff,
                        .access_rights = kRightsRealData,
                        .selector = 0};
  special.ds = special.es = special.fs = special.gs = data;
  special.cs = data;
  special.cs.access_rights = kRightsRealCode;
  // The stack lies above 64 KiB: SS has a base of its own.
  special.ss = data;
  special.ss.base = WS_CODE_LIMIT;
  special.ss.selector = WS_CODE_LIMIT >> 4;
  special.idtr = {.base = 0, .limit = 0x3ff};
  special.cr0 = kCr0Et;
  special.cr3 = 0;
  special.cr4 = 0;
  special.efer = 0;
}

void SetLongMode(SpecialRegisters& special, bool user) {
  special.cs = {.base = 0,
                .limit = 0xffffffff,
                .access_rights = user ? kRightsCode64User : kRightsCode64,
                .selector = user ? kUserCode : kKernelCode};
  const Segment data = {.base = 0,
                        .limit = 0xffffffff,
                        .access_rights = user ? kRightsDataUser : kRightsData,
                        .selector = user ? kUserData : kKernelData};
  special.ds = special.es = special.fs = special.gs = special.ss = data;
  special.tr = {.base = WS_TSS,
                .limit = kTssLimit,
                .access_rights = kRightsTss,
                .selector = kTaskState};
  special.ldtr = {.base = 0,
                  .limit = 0,
                  .access_rights = kRightsLdtUnusable,
                  .selector = 0};
  special.gdtr = {.base = WS_GDT, .limit = kTaskState + 15};
  special.idtr = {.base = WS_IDT, .limit = kVectors * 16 - 1};
  special.cr0 = kCr0Pe | kCr0Mp | kCr0Et | kCr0Ne | kCr0Wp | kCr0Pg;
  special.cr3 = WS_PML4;
  special.cr4 = kCr4Pae | kCr4Osfxsr;
  special.efer = kEferLme | kEferLma;
}

// Each vCPU has a slice of the stack area of its own.
std::uint64_t StackTop(GuestMode mode, std::uint32_t vcpu_index) {
  const std::uint64_t top = WS_STACK_TOP - vcpu_index * std::uint64_t{0x100};
  return mode == GuestMode::kReal ? top - WS_CODE_LIMIT : top;
}

Result Enter(VmOps& vm, std::uint32_t vcpu_index, GuestMode mode,
             std::uint64_t rip, bool interrupts_on) {
  VcpuOps& vcpu = vm.vcpu(vcpu_index);
  const Result fetched = vcpu.fetch_registers(kAllRegisters);
  if (fetched != Result::kOk) return fetched;
  RegisterFile& registers = vcpu.registers();
  registers.general = {};
  registers.general.rip = rip;
  registers.general.rsp = StackTop(mode, vcpu_index);
  registers.general.rflags = kRflagsFixed | (interrupts_on ? kRflagsIf : 0);
  // The TSS allows ring 3 every port as well; but QEMU's CPU heeds an I/O
  // bitmap only in a TSS that is not busy, which a loaded one always is.
  if (mode == GuestMode::kRing3) registers.general.rflags |= kRflagsIopl3;
  if (mode == GuestMode::kReal) {
    SetRealMode(registers.special);
  } else {
    SetLongMode(registers.special, mode == GuestMode::kRing3);
  }
  registers.dirty = kAllRegisters;
  return vcpu.commit_registers();
}

bool WriteGuest(VmOps& vm, GuestMode mode, Writer* memory) {
  std::byte* base = vm.memory().At(0, WS_MEMORY_BYTES);
  if (base == nullptr) return false;
  *memory = Writer(base);
  const auto payloads =
      static_cast<std::uint64_t>(ws_guest_end - ws_guest_begin);
  // Would a payload more be one too many, no guest runs and every test says so.
  if (payloads > kOwnCode - WS_CODE) return false;
  memory->Copy(WS_CODE, ws_guest_begin, payloads);
  if (mode == GuestMode::kReal) {
    WriteRealVectors(*memory);
  } else {
    WriteLongTables(*memory);
  }
  return true;
}

// Exceptions that push an error code (SDM 3A, table 6-1).
bool PushesErrorCode(std::uint32_t vector) {
  constexpr std::uint32_t kVectorsWithCode =
      1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 |
      1u << 17 | 1u << 21 | 1u << 29 | 1u << 30;
  return vector < kExceptionVectors && (kVectorsWithCode >> vector & 1) != 0;
}

std::uint64_t ReadValue(const std::byte* from, std::uint32_t bytes) {
  std::uint64_t value = 0;
  for (std::uint32_t i = 0; i < bytes; ++i) {
    value |= std::to_integer<std::uint64_t>(from[i]) << (8 * i);
  }
  return value;
}

}  // namespace

const char* GuestModeName(GuestMode mode) {
  switch (mode) {
    case GuestMode::kReal:
      return "real";
    case GuestMode::kRing0:
      return "ring0";
    case GuestMode::kRing3:
      return "ring3";
  }
  return "(no such mode)";
}

const char* PayloadName(Payload payload) { return EntryOf(payload).name; }

Result LoadGuest(VmOps& vm, std::uint32_t vcpu_index, const GuestSetup& setup) {
  Writer memory(nullptr);
  if (!WriteGuest(vm, setup.mode, &memory)) return Result::kUnsupported;
  memory.Clear(WS_MAILBOX, 4096);
  memory.Put64(WS_MAILBOX_ARG0, setup.arguments[0]);
  memory.Put64(WS_MAILBOX_ARG1, setup.arguments[1]);
  const EntryPoints& entry = EntryOf(setup.payload);
  return Enter(vm, vcpu_index, setup.mode,
               GuestAddress(setup.mode == GuestMode::kReal ? entry.real
                                                           : entry.long_mode),
               setup.interrupts_on);
}

Result LoadCode(VmOps& vm, std::uint32_t vcpu_index, GuestMode mode,
                const void* code, std::uint32_t size, bool interrupts_on) {
  Writer memory(nullptr);
  if (size > kMaxOwnCode || !WriteGuest(vm, mode, &memory)) {
    return Result::kUnsupported;
  }
  memory.Copy(kOwnCode, code, size);
  return Enter(vm, vcpu_index, mode, kOwnCode, interrupts_on);
}

GuestFault ReadGuestFault(VmOps& vm, GuestMode mode) {
  GuestFault fault = {.vector = 0, .error_code = 0, .rip = 0};
  const MemoryView memory = vm.memory();
  const std::byte* mailbox = memory.At(WS_MAILBOX, 4096);
  if (mailbox == nullptr) return fault;
  fault.vector = static_cast<std::uint32_t>(
      ReadValue(mailbox + (WS_MAILBOX_VECTOR - WS_MAILBOX), 4));
  const std::uint64_t frame =
      ReadValue(mailbox + (WS_MAILBOX_FRAME - WS_MAILBOX), 8);
  if (mode == GuestMode::kReal) {
    const std::byte* stack =
        memory.At(WS_CODE_LIMIT + (frame & 0xffff), sizeof(std::uint16_t));
    if (stack != nullptr) fault.rip = ReadValue(stack, 2);
    return fault;
  }
  const std::byte* stack = memory.At(frame, 2 * sizeof(std::uint64_t));
  if (stack == nullptr) return fault;
  const bool coded = PushesErrorCode(fault.vector);
  if (coded) fault.error_code = static_cast<std::uint32_t>(ReadValue(stack, 4));
  fault.rip = ReadValue(stack + (coded ? sizeof(std::uint64_t) : 0), 8);
  return fault;
}

const char* ExceptionName(std::uint32_t vector) {
  static const char* const kNames[kExceptionVectors] = {
      "#DE",  "#DB",  "NMI",  "#BP",  "#OF", "#BR", "#UD",  "#NM",
      "#DF",  "(9)",  "#TS",  "#NP",  "#SS", "#GP", "#PF",  "(15)",
      "#MF",  "#AC",  "#MC",  "#XM",  "#VE", "#CP", "(22)", "(23)",
      "(24)", "(25)", "(26)", "(27)", "#HV", "#VC", "#SX",  "(31)"};
  return vector < kExceptionVectors ? kNames[vector] : "(no exception)";
}

}  // namespace worldswitch
