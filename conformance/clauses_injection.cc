// INJ.1 to INJ.7: events delivered through the guest's IDT or IVT.
//
// The guest says A, counts, says B and the count; a handler says the count it
// found. At A nothing is counted yet, so a handler that says one less than the
// B that follows came before the guest's next instruction.

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kVector = 0x51;
constexpr std::uint8_t kOtherVector = 0x52;
constexpr std::uint8_t kNmiVector = 2;
constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kGeneralProtection = 13;
constexpr std::uint8_t kFirstIrqVector = 16;
constexpr std::uint64_t kInterruptFlag = 1u << 9;
constexpr std::uint32_t kTurns = 3;

// Loads the guest, with its handler behind `vector`.
bool Start(ClauseRig& rig, bool interrupts_on, std::uint32_t vector) {
  if (!rig.Load(ClauseGuest::k_interruptible,
                {.interrupts_on = interrupts_on})) {
    return false;
  }
  rig.SetHandler(vector, ClauseGuest::k_interruptible);
  return true;
}

bool RunToA(ClauseRig& rig) {
  Exit exit;
  return rig.RunToAnyOut(WS_CLAUSE_PORT_A, &exit);
}

// The handler, then the guest where it was left. turns: counted so far.
bool RunThroughHandler(ClauseRig& rig, std::uint32_t turns) {
  return rig.RunToOut(WS_CLAUSE_PORT_HANDLER, turns) &&
         rig.RunToOut(WS_CLAUSE_PORT_B, turns + 1);
}

// Some turns of the guest in which no handler runs.
bool RunUndisturbed(ClauseRig& rig, std::uint32_t turns) {
  for (std::uint32_t turn = turns; turn < turns + kTurns; ++turn) {
    if (!rig.RunToOut(WS_CLAUSE_PORT_B, turn + 1) || !RunToA(rig)) return false;
  }
  return true;
}

Event MakeException(std::uint8_t vector) {
  Event event;
  event.kind = EventKind::kException;
  event.vector = vector;
  return event;
}

// inject: offers the event whose handler is set. It is taken back once, and
// then delivered after all.
template <typename Inject>
void CheckCancel(ClauseRig& rig, EventKind kind, std::uint8_t vector,
                 Inject inject) {
  VcpuOps& vcpu = rig.vcpu();
  Event event;
  if (!Start(rig, /*interrupts_on=*/true, vector) || !RunToA(rig) ||
      !rig.Expect(!vcpu.cancel_injection(&event),
                  "nothing to take back at the start") ||
      !rig.ExpectInject("the first injection", InjectResult::kOk, inject()) ||
      !rig.Expect(vcpu.cancel_injection(&event),
                  "cancel_injection takes back what was accepted") ||
      !rig.ExpectEqual("the kind of the event taken back",
                       static_cast<std::uint64_t>(kind),
                       static_cast<std::uint64_t>(event.kind)) ||
      !rig.ExpectEqual("the vector of the event taken back", vector,
                       event.vector) ||
      !rig.Expect(!vcpu.cancel_injection(&event),
                  "nothing to take back a second time") ||
      !RunUndisturbed(rig, 0)) {
    return;
  }
  if (!rig.ExpectInject("an injection after one that was taken back",
                        InjectResult::kOk, inject()) ||
      !RunThroughHandler(rig, kTurns)) {
    return;
  }
  rig.Expect(!vcpu.cancel_injection(&event),
             "nothing to take back after a delivery");
}

}  // namespace

void CheckIrqDelivered(ClauseRig& rig) {
  std::uint32_t turns = 0;
  if (!Start(rig, /*interrupts_on=*/true, kVector)) return;
  for (const std::uint8_t vector : {0x20, 0x51, 0xff}) {
    rig.SetHandler(vector, ClauseGuest::k_interruptible);
    if (!RunToA(rig) ||
        !rig.Expect(rig.vcpu().interrupt_allowed(),
                    "interrupt_allowed with RFLAGS.IF set") ||
        !rig.ExpectInject("inject_irq", InjectResult::kOk,
                          rig.vcpu().inject_irq(vector)) ||
        !RunThroughHandler(rig, turns)) {
      return;
    }
    ++turns;
  }
}

void CheckIrqBlocked(ClauseRig& rig) {
  if (!Start(rig, /*interrupts_on=*/false, kVector) || !RunToA(rig) ||
      !rig.Expect(!rig.vcpu().interrupt_allowed(),
                  "no interrupt_allowed with RFLAGS.IF clear") ||
      !rig.ExpectInject("inject_irq with RFLAGS.IF clear",
                        InjectResult::kBlocked,
                        rig.vcpu().inject_irq(kVector)) ||
      !RunUndisturbed(rig, 0) || !rig.Fetch(kGeneralRegisters)) {
    return;
  }
  // It was not kept for later either.
  rig.general().rflags |= kInterruptFlag;
  rig.file().dirty |= kGeneralRegisters;
  if (!rig.ExpectResult("setting RFLAGS.IF", Result::kOk,
                        rig.vcpu().commit_registers()) ||
      !RunUndisturbed(rig, kTurns)) {
    return;
  }
  if (!rig.ExpectInject("inject_irq with RFLAGS.IF set", InjectResult::kOk,
                        rig.vcpu().inject_irq(kVector))) {
    return;
  }
  RunThroughHandler(rig, 2 * kTurns);
}

void CheckOneInjection(ClauseRig& rig) {
  VcpuOps& vcpu = rig.vcpu();
  const bool has_nmi = rig.vm().has(Capability::kNmiInjection);
  if (!Start(rig, /*interrupts_on=*/true, kVector) || !RunToA(rig)) return;
  rig.SetHandler(kOtherVector, ClauseGuest::k_interruptible);
  rig.SetHandler(kNmiVector, ClauseGuest::k_interruptible);
  if (!rig.ExpectInject("the first inject_irq", InjectResult::kOk,
                        vcpu.inject_irq(kVector)) ||
      !rig.ExpectInject("the second inject_irq", InjectResult::kBusy,
                        vcpu.inject_irq(kOtherVector)) ||
      !rig.ExpectInject("the same inject_irq again", InjectResult::kBusy,
                        vcpu.inject_irq(kVector)) ||
      !rig.Expect(!vcpu.interrupt_allowed(),
                  "no interrupt_allowed with one on its way") ||
      (has_nmi && !rig.ExpectInject("inject_nmi after inject_irq",
                                    InjectResult::kBusy, vcpu.inject_nmi())) ||
      !RunThroughHandler(rig, 0) || !RunToA(rig) || !RunUndisturbed(rig, 1)) {
    return;
  }
  if (!has_nmi) return;
  if (!rig.ExpectInject("inject_nmi", InjectResult::kOk, vcpu.inject_nmi()) ||
      !rig.ExpectInject("inject_irq after inject_nmi", InjectResult::kBusy,
                        vcpu.inject_irq(kVector)) ||
      !RunThroughHandler(rig, 1 + kTurns) || !RunToA(rig)) {
    return;
  }
  RunUndisturbed(rig, 2 + kTurns);
}

void CheckCancelIrq(ClauseRig& rig) {
  CheckCancel(rig, EventKind::kIrq, kVector,
              [&rig] { return rig.vcpu().inject_irq(kVector); });
}

void CheckCancelNmi(ClauseRig& rig) {
  CheckCancel(rig, EventKind::kNmi, kNmiVector,
              [&rig] { return rig.vcpu().inject_nmi(); });
}

void CheckCancelException(ClauseRig& rig) {
  CheckCancel(rig, EventKind::kException, kInvalidOpcode, [&rig] {
    return rig.vcpu().inject_exception(MakeException(kInvalidOpcode));
  });
}

void CheckNmi(ClauseRig& rig) {
  for (const bool interrupts_on : {false, true}) {
    if (!Start(rig, interrupts_on, kNmiVector)) return;
    for (std::uint32_t turns = 0; turns < kTurns; ++turns) {
      if (!RunToA(rig) ||
          !rig.ExpectInject("inject_nmi", InjectResult::kOk,
                            rig.vcpu().inject_nmi()) ||
          !RunThroughHandler(rig, turns)) {
        return;
      }
    }
    if (!RunToA(rig)) return;
  }
}

void CheckException(ClauseRig& rig) {
  VcpuOps& vcpu = rig.vcpu();
  if (!Start(rig, /*interrupts_on=*/false, kInvalidOpcode) || !RunToA(rig) ||
      !rig.ExpectInject("inject_exception without error code",
                        InjectResult::kOk,
                        vcpu.inject_exception(MakeException(kInvalidOpcode))) ||
      !RunThroughHandler(rig, 0)) {
    return;
  }
  if (!rig.is_long()) return;  // real mode has no error codes
  if (!rig.Load(ClauseGuest::k_exception)) return;
  rig.SetHandler(kGeneralProtection, ClauseGuest::k_exception);
  for (const std::uint32_t error_code : {0x0u, 0x18u, 0xfff8u}) {
    Event event = MakeException(kGeneralProtection);
    event.has_error_code = true;
    event.error_code = error_code;
    Exit exit;
    if (!RunToA(rig) ||
        !rig.ExpectInject("inject_exception with error code", InjectResult::kOk,
                          vcpu.inject_exception(event)) ||
        !rig.RunToOut(WS_CLAUSE_PORT_HANDLER, error_code) ||
        !rig.RunToAnyOut(WS_CLAUSE_PORT_B, &exit)) {
      return;
    }
  }
}

void CheckIrqOutOfRange(ClauseRig& rig) {
  if (!Start(rig, /*interrupts_on=*/true, kVector) || !RunToA(rig)) return;
  for (std::uint8_t vector = 0; vector < kFirstIrqVector; ++vector) {
    if (!rig.ExpectInject("inject_irq of a vector below 16",
                          InjectResult::kInvalid,
                          rig.vcpu().inject_irq(vector))) {
      return;
    }
  }
  // Nothing of it stays: the vCPU is neither busy nor interrupted.
  if (!RunUndisturbed(rig, 0) ||
      !rig.ExpectInject("inject_irq after refused ones", InjectResult::kOk,
                        rig.vcpu().inject_irq(kVector))) {
    return;
  }
  RunThroughHandler(rig, kTurns);
}

void CheckExceptionOutOfRange(ClauseRig& rig) {
  VcpuOps& vcpu = rig.vcpu();
  if (!Start(rig, /*interrupts_on=*/true, kInvalidOpcode) || !RunToA(rig)) {
    return;
  }
  for (const std::uint8_t vector : {2, 32, 0x51, 255}) {
    if (!rig.ExpectInject("inject_exception of NMI's vector, or above 31",
                          InjectResult::kInvalid,
                          vcpu.inject_exception(MakeException(vector)))) {
      return;
    }
  }
  Event interrupt;
  interrupt.vector = kInvalidOpcode;
  if (!rig.ExpectInject("inject_exception of an interrupt",
                        InjectResult::kInvalid,
                        vcpu.inject_exception(interrupt)) ||
      !RunUndisturbed(rig, 0) ||
      !rig.ExpectInject("inject_exception after refused ones",
                        InjectResult::kOk,
                        vcpu.inject_exception(MakeException(kInvalidOpcode)))) {
    return;
  }
  RunThroughHandler(rig, kTurns);
}

}  // namespace worldswitch
