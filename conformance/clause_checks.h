// The checks behind the table in clauses.cc: one function a clause and part,
// each in the file of its group.

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_CHECKS_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_CHECKS_H_

#include "conformance/clause_rig.h"

namespace worldswitch {

// clauses_run.cc
void CheckOneExitPerRun(ClauseRig& rig);  // RUN.1
void CheckIoExits(ClauseRig& rig);        // RUN.2
void CheckMmioExits(ClauseRig& rig);      // RUN.3
void CheckHlt(ClauseRig& rig);            // RUN.4
void CheckTripleFault(ClauseRig& rig);    // RUN.5
void CheckUnknownExit(ClauseRig& rig);    // RUN.6

// clauses_completion.cc
void CheckInReachesGuest(ClauseRig& rig);          // CMP.1
void CheckMmioReadReachesGuest(ClauseRig& rig);    // CMP.1
void CheckRdmsrReachesGuest(ClauseRig& rig);       // CMP.1
void CheckRegistersAfterIn(ClauseRig& rig);        // CMP.2
void CheckRegistersAfterMmioRead(ClauseRig& rig);  // CMP.2
void CheckRegistersAfterRdmsr(ClauseRig& rig);     // CMP.2
void CheckCompletedOnce(ClauseRig& rig);           // CMP.3

// clauses_registers.cc
void CheckCommitted(ClauseRig& rig);           // REG.1
void CheckFetched(ClauseRig& rig);             // REG.2
void CheckDirtyWithoutCommit(ClauseRig& rig);  // REG.3
void CheckWanted(ClauseRig& rig);              // REG.4
void CheckRefusedCommit(ClauseRig& rig);       // REG.5

// clauses_injection.cc
void CheckIrqDelivered(ClauseRig& rig);         // INJ.1
void CheckIrqBlocked(ClauseRig& rig);           // INJ.2
void CheckOneInjection(ClauseRig& rig);         // INJ.3
void CheckCancelIrq(ClauseRig& rig);            // INJ.4
void CheckCancelNmi(ClauseRig& rig);            // INJ.4
void CheckCancelException(ClauseRig& rig);      // INJ.4
void CheckNmi(ClauseRig& rig);                  // INJ.5
void CheckException(ClauseRig& rig);            // INJ.6
void CheckIrqOutOfRange(ClauseRig& rig);        // INJ.7
void CheckExceptionOutOfRange(ClauseRig& rig);  // INJ.7

// clauses_window.cc
void CheckWindowOpens(ClauseRig& rig);      // WIN.1
void CheckWindowIsOpen(ClauseRig& rig);     // WIN.1
void CheckWindowSpent(ClauseRig& rig);      // WIN.2
void CheckWindowWithdrawn(ClauseRig& rig);  // WIN.2

// clauses_kick.cc
void CheckKickBeforeRun(ClauseRig& rig);   // KICK.1
void CheckKickRace(ClauseRig& rig);        // KICK.1
void CheckKickDuringRun(ClauseRig& rig);   // KICK.2
void CheckKicksCoalesce(ClauseRig& rig);   // KICK.3
void CheckHandleOutlives(ClauseRig& rig);  // KICK.4
void CheckHandleRace(ClauseRig& rig);      // KICK.4

// clauses_memory.cc
void CheckHostWrites(ClauseRig& rig);      // MEM.1
void CheckHostWritesCode(ClauseRig& rig);  // MEM.1
void CheckGuestWrites(ClauseRig& rig);     // MEM.2
void CheckSideBySide(ClauseRig& rig);      // SMP.1

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_CLAUSE_CHECKS_H_
