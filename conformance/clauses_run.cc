// RUN.1 to RUN.6: what a run returns.

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kString[WS_CLAUSE_STRING_BYTES + 1] = "0123456789abcdef";

// One exit of IN or OUT, without REP.
bool CheckIo(ClauseRig& rig, std::uint16_t port, std::uint32_t size,
             bool is_write) {
  Exit exit;
  if (!rig.RunTo(ExitReason::kIo, &exit)) return false;
  if (!rig.ExpectEqual("the port", port, exit.io.port) ||
      !rig.ExpectEqual("the element size", size, exit.io.size) ||
      !rig.ExpectEqual("the element count", 1, exit.io.count) ||
      !rig.ExpectEqual("is_write", is_write ? 1 : 0,
                       exit.io.is_write ? 1 : 0)) {
    return false;
  }
  if (!is_write) {
    WriteData(exit.io.data, 0, size);
    return true;
  }
  constexpr std::uint64_t kAccumulator = 0x44332211;
  return rig.ExpectEqual("the data of an OUT", Low(kAccumulator, size),
                         ReadData(exit.io.data, size));
}

// One OUTS or INS with REP. The engine may cut it into several exits; what the
// elements add up to has to be the string.
bool CheckString(ClauseRig& rig, std::uint32_t size, bool is_write) {
  std::uint32_t done = 0;
  while (done < WS_CLAUSE_STRING_BYTES) {
    Exit exit;
    if (!rig.RunTo(ExitReason::kIo, &exit)) return false;
    const IoExit& io = exit.io;
    const std::uint32_t bytes = io.size * io.count;
    if (!rig.ExpectEqual("the port of a string instruction",
                         WS_CLAUSE_PORT_WIDE, io.port) ||
        !rig.ExpectEqual("is_write of a string instruction", is_write ? 1 : 0,
                         io.is_write ? 1 : 0) ||
        !rig.ExpectEqual("the element size of a string instruction", size,
                         io.size) ||
        !rig.Expect(bytes != 0 && bytes <= WS_CLAUSE_STRING_BYTES - done,
                    "a string exit of no more than the elements left")) {
      return false;
    }
    if (!is_write) {
      __builtin_memcpy(io.data, kString + done, bytes);
    } else if (__builtin_memcmp(io.data, kString + done, bytes) != 0) {
      return rig.ExpectEqual("the data of OUTS", ReadData(kString + done, size),
                             ReadData(io.data, size));
    }
    done += bytes;
  }
  return true;
}

}  // namespace

// Each number that the guest counts to is an exit of its own; at the exit the
// guest has counted so far, and no further.
void CheckOneExitPerRun(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_count)) return;
  for (std::uint32_t i = 1; i <= 5; ++i) {
    if (!rig.RunToOut(WS_CLAUSE_PORT_A, i) ||
        !rig.ExpectEqual("how far the guest counted", i,
                         rig.Read32(WS_CLAUSE_WORD))) {
      return;
    }
  }
}

void CheckIoExits(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_port_sizes)) return;
  __builtin_memcpy(rig.Bytes(WS_CLAUSE_STRING, WS_CLAUSE_STRING_BYTES), kString,
                   WS_CLAUSE_STRING_BYTES);
  for (const bool is_write : {true, false}) {
    if (!CheckIo(rig, WS_CLAUSE_PORT_A, 1, is_write) ||
        !CheckIo(rig, WS_CLAUSE_PORT_A, 2, is_write) ||
        !CheckIo(rig, WS_CLAUSE_PORT_A, 4, is_write) ||
        !CheckIo(rig, WS_CLAUSE_PORT_WIDE, 1, is_write)) {
      return;
    }
  }
  for (const std::uint32_t size : {1u, 2u, 4u}) {
    if (!CheckString(rig, size, /*is_write=*/true)) return;
  }
  for (const std::uint32_t size : {1u, 2u, 4u}) {
    std::byte* filled = rig.Bytes(WS_CLAUSE_FILLED, WS_CLAUSE_STRING_BYTES);
    __builtin_memset(filled, 0, WS_CLAUSE_STRING_BYTES);
    Exit exit;
    if (!CheckString(rig, size, /*is_write=*/false) ||
        !rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit) ||
        !rig.Expect(
            __builtin_memcmp(filled, kString, WS_CLAUSE_STRING_BYTES) == 0,
            "memory filled by INS with the data of its exits")) {
      return;
    }
  }
}

void CheckMmioExits(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_mmio_sizes)) return;
  constexpr std::uint64_t kAccumulator = 0x8877665544332211;
  struct Access {
    std::uint32_t offset;
    std::uint32_t length;
  };
  constexpr Access kWrites[] = {{0x10, 1}, {0x12, 2}, {0x14, 4}, {0x18, 8}};
  constexpr Access kReads[] = {{0x20, 1}, {0x22, 2}, {0x24, 4}, {0x28, 8}};
  for (const Access& access : kWrites) {
    if (access.length == 8 && !rig.is_long()) continue;
    if (!rig.RunToMmioWrite(WS_MMIO_HOLE + access.offset, access.length,
                            kAccumulator)) {
      return;
    }
  }
  for (const Access& access : kReads) {
    if (access.length == 8 && !rig.is_long()) continue;
    if (!rig.RunToMmioRead(WS_MMIO_HOLE + access.offset, access.length, 0)) {
      return;
    }
  }
  Exit exit;
  rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit);
}

void CheckHlt(ClauseRig& rig) {
  if (!rig.Load(ClauseGuest::k_halt)) return;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    Exit exit;
    if (!rig.RunTo(ExitReason::kHlt, &exit) ||
        !rig.ExpectEqual("how often the guest woke up", i - 1,
                         rig.Read32(WS_CLAUSE_WORD)) ||
        !rig.RunToOut(WS_CLAUSE_PORT_A, i)) {
      return;
    }
  }
}

void CheckTripleFault(ClauseRig& rig) {
  Exit exit;
  if (!rig.Load(ClauseGuest::k_fault) ||
      !rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit) ||
      !rig.Fetch(kSpecialRegisters)) {
    return;
  }
  rig.special().idtr.limit = 0;
  rig.file().dirty |= kSpecialRegisters;
  if (!rig.ExpectResult("committing an empty IDT", Result::kOk,
                        rig.vcpu().commit_registers())) {
    return;
  }
  rig.RunTo(ExitReason::kShutdown, &exit);
}

void CheckUnknownExit(ClauseRig& rig) {
  constexpr std::uint64_t kRaw = 0x7eadbeef;
  if (!rig.MakeVmOfUnknownExit(kRaw)) return;
  Exit exit;
  if (!rig.RunTo(ExitReason::kUnknown, &exit) ||
      !rig.ExpectEqual("the raw code of an unknown exit", kRaw, exit.raw)) {
    return;
  }
  rig.RunTo(ExitReason::kHlt, &exit);
}

}  // namespace worldswitch
