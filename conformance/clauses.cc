#include "conformance/clauses.h"

#include "conformance/clause_checks.h"

namespace worldswitch {
namespace {

constexpr GuestModeSet kReal = ModeBit(GuestMode::kReal);
constexpr GuestModeSet kRing0 = ModeBit(GuestMode::kRing0);
constexpr GuestModeSet kRing3 = ModeBit(GuestMode::kRing3);
constexpr GuestModeSet kAnyRing0 = kReal | kRing0;
constexpr GuestModeSet kLong = kRing0 | kRing3;
constexpr GuestModeSet kAnyMode = kReal | kRing0 | kRing3;

constexpr CapabilitySet kIrq = CapabilityBit(Capability::kIrqInjection);
constexpr CapabilitySet kWindow = CapabilityBit(Capability::kIrqWindow) | kIrq;
constexpr CapabilitySet kNmi = CapabilityBit(Capability::kNmiInjection);
constexpr CapabilitySet kException =
    CapabilityBit(Capability::kExceptionInjection);
constexpr CapabilitySet kConcurrent =
    CapabilityBit(Capability::kConcurrentVcpus);

// Left out of a mode is what the architecture does not have there: HLT, RDMSR
// and STI at CPL 3; a triple fault and error codes in real mode.
constexpr Clause kClauses[] = {
    {.id = "RUN.1",
     .summary = "one entry, one exit: no loop over exits of a kind",
     .modes = kAnyMode,
     .check = CheckOneExitPerRun},
    {.id = "RUN.2",
     .summary = "IN, OUT, INS, OUTS: port, direction, size, count, data",
     .modes = kAnyMode,
     .check = CheckIoExits},
    {.id = "RUN.3",
     .summary = "a hole read and written in every size",
     .modes = kAnyMode,
     .check = CheckMmioExits},
    {.id = "RUN.4",
     .summary = "HLT exits, and the guest goes on behind it",
     .modes = kAnyRing0,
     .check = CheckHlt},
    {.id = "RUN.5",
     .summary = "a fault with no IDT is a shutdown",
     .modes = kLong,
     .check = CheckTripleFault},
    {.id = "RUN.6",
     .summary = "an exit nobody knows arrives with its raw code",
     .modes = kReal,
     .vcpus = 0,
     .check = CheckUnknownExit},

    {.id = "CMP.1",
     .part = "io",
     .summary = "what the caller gives to IN reaches the guest",
     .modes = kAnyMode,
     .check = CheckInReachesGuest},
    {.id = "CMP.1",
     .part = "mmio",
     .summary = "what the caller gives to an MMIO read reaches the guest",
     .modes = kAnyMode,
     .check = CheckMmioReadReachesGuest},
    {.id = "CMP.1",
     .part = "msr",
     .summary = "what the caller gives to RDMSR reaches the guest",
     .modes = kAnyRing0,
     .check = CheckRdmsrReachesGuest},
    {.id = "CMP.2",
     .part = "io",
     .summary = "registers fetched at an IN are those behind it",
     .modes = kAnyMode,
     .check = CheckRegistersAfterIn},
    {.id = "CMP.2",
     .part = "mmio",
     .summary = "registers fetched at an MMIO read are those behind it",
     .modes = kAnyMode,
     .check = CheckRegistersAfterMmioRead},
    {.id = "CMP.2",
     .part = "msr",
     .summary = "registers fetched at an RDMSR are those behind it",
     .modes = kAnyRing0,
     .check = CheckRegistersAfterRdmsr},
    {.id = "CMP.3",
     .summary = "fetching between exits repeats and skips nothing",
     .modes = kAnyMode,
     .check = CheckCompletedOnce},

    {.id = "REG.1",
     .summary = "the guest finds what was committed, in every register",
     .modes = kAnyMode,
     .check = CheckCommitted},
    {.id = "REG.2",
     .summary = "what is fetched is what the guest left, in every register",
     .modes = kAnyMode,
     .check = CheckFetched},
    {.id = "REG.3",
     .summary = "dirty groups go in with the next run",
     .modes = kAnyMode,
     .check = CheckDirtyWithoutCommit},
    {.id = "REG.4",
     .summary = "wanted groups are cached, and right, when run returns",
     .modes = kAnyMode,
     .check = CheckWanted},
    {.id = "REG.5",
     .summary = "a refused commit says so, and the guest goes on as it was",
     .modes = kAnyMode,
     .check = CheckRefusedCommit},

    {.id = "INJ.1",
     .summary = "an accepted interrupt comes before the next instruction",
     .modes = kAnyMode,
     .needs = kIrq,
     .check = CheckIrqDelivered},
    {.id = "INJ.2",
     .summary =
         "with interrupts off, kBlocked and no interrupt, not even later",
     .modes = kAnyMode,
     .needs = kIrq,
     .check = CheckIrqBlocked},
    {.id = "INJ.3",
     .summary = "the second injection is refused, the first one delivered once",
     .modes = kAnyMode,
     .needs = kIrq,
     .check = CheckOneInjection},
    {.id = "INJ.4",
     .part = "irq",
     .summary = "an interrupt is taken back",
     .modes = kAnyMode,
     .needs = kIrq,
     .check = CheckCancelIrq},
    {.id = "INJ.4",
     .part = "nmi",
     .summary = "an NMI is taken back",
     .modes = kAnyMode,
     .needs = kNmi,
     .check = CheckCancelNmi},
    {.id = "INJ.4",
     .part = "exception",
     .summary = "an exception is taken back",
     .modes = kAnyMode,
     .needs = kException,
     .check = CheckCancelException},
    {.id = "INJ.5",
     .summary = "an NMI is delivered with interrupts off, and with them on",
     .modes = kAnyMode,
     .needs = kNmi,
     .check = CheckNmi},
    {.id = "INJ.6",
     .summary = "an exception is delivered, with its error code",
     .modes = kAnyMode,
     .needs = kException,
     .check = CheckException},
    {.id = "INJ.7",
     .part = "irq",
     .summary = "interrupt vectors 0 to 15 are refused",
     .modes = kAnyMode,
     .needs = kIrq,
     .check = CheckIrqOutOfRange},
    {.id = "INJ.7",
     .part = "exception",
     .summary =
         "exception vectors above 31, NMI's, and other kinds are refused",
     .modes = kAnyMode,
     .needs = kException,
     .check = CheckExceptionOutOfRange},

    {.id = "WIN.1",
     .part = "opens",
     .summary = "no window while interrupts are off, one when they come on",
     .modes = kAnyRing0,
     .needs = kWindow,
     .check = CheckWindowOpens},
    {.id = "WIN.1",
     .part = "open",
     .summary = "a window where interrupts are on already, and it can be used",
     .modes = kAnyMode,
     .needs = kWindow,
     .check = CheckWindowIsOpen},
    {.id = "WIN.2",
     .part = "spent",
     .summary = "one request, one window",
     .modes = kAnyMode,
     .needs = kWindow,
     .check = CheckWindowSpent},
    {.id = "WIN.2",
     .part = "withdrawn",
     .summary = "a request that is withdrawn opens none",
     .modes = kAnyMode,
     .needs = kWindow,
     .check = CheckWindowWithdrawn},

    {.id = "KICK.1",
     .summary = "a kick before run: kInterrupted, and no instruction",
     .modes = kAnyMode,
     .check = CheckKickBeforeRun},
    {.id = "KICK.1",
     .part = "race",
     .summary = "kicks from another thread, around entries: none is lost",
     .modes = kAnyMode,
     .needs_threads = true,
     .check = CheckKickRace},
    {.id = "KICK.2",
     .summary = "a kick ends a guest that never exits",
     .modes = kAnyMode,
     .needs_threads = true,
     .check = CheckKickDuringRun},
    {.id = "KICK.3",
     .summary = "a hundred kicks are one",
     .modes = kAnyMode,
     .check = CheckKicksCoalesce},
    {.id = "KICK.4",
     .summary = "a handle whose vCPU is gone kicks nobody, not the next one",
     .modes = kAnyMode,
     .check = CheckHandleOutlives},
    {.id = "KICK.4",
     .part = "race",
     .summary = "kicking while the vCPU goes away",
     .modes = kReal,
     .needs_threads = true,
     .check = CheckHandleRace},

    {.id = "MEM.1",
     .part = "data",
     .summary = "the guest reads what the host wrote",
     .modes = kAnyMode,
     .check = CheckHostWrites},
    {.id = "MEM.1",
     .part = "code",
     .summary = "the guest executes what the host wrote",
     .modes = kAnyMode,
     .check = CheckHostWritesCode},
    {.id = "MEM.2",
     .summary = "the host reads what the guest wrote",
     .modes = kAnyMode,
     .check = CheckGuestWrites},

    {.id = "SMP.1",
     .summary = "two vCPUs on two threads meet in memory",
     .modes = kAnyMode,
     .needs = kConcurrent,
     .vcpus = 2,
     .needs_threads = true,
     .check = CheckSideBySide},
};

bool HasAll(ClauseRig& rig, CapabilitySet needs) {
  for (unsigned i = 0; i < static_cast<unsigned>(Capability::kCount); ++i) {
    const auto capability = static_cast<Capability>(i);
    if ((needs & CapabilityBit(capability)) == 0 || rig.vm().has(capability)) {
      continue;
    }
    return rig.Skip(TextLine()
                        .Append("the VM does not have the capability ")
                        .Append(CapabilityName(capability)));
  }
  return true;
}

}  // namespace

ClauseList AllClauses() {
  return {kClauses, kClauses + sizeof(kClauses) / sizeof(kClauses[0])};
}

ClauseOutcome RunClause(const Clause& clause, ClauseHost& host,
                        GuestMode mode) {
  ClauseRig rig(host, mode);
  if ((clause.modes & ModeBit(mode)) == 0) {
    rig.Skip(TextLine()
                 .Append("the clause is not defined in the mode ")
                 .Append(GuestModeName(mode)));
  } else if (clause.needs_threads && !host.has_threads()) {
    rig.Skip("the host of the clauses has no threads");
  } else if (clause.vcpus == 0 ||
             (rig.MakeVm(clause.vcpus) && HasAll(rig, clause.needs))) {
    clause.check(rig);
  }
  return rig.outcome();
}

}  // namespace worldswitch
