// The serial log of the boot image, as the image writes it and as the host
// reads it back (bench/native_log.h). Lines of printable ASCII that begin with
// '@'; everything else in the log is for the person who watches, and is skipped
// by the reader. Lines may end in CR LF.
//
//   @worldswitch 1                      the format's version; begins the log
//   @info KEY TEXT...                   facts: vendor, cpu, backend, knob.*,
//                                       refused.* (a control that was wanted
//                                       and that the CPU does not have), path.*
//     emulator                          TCGTCGTCGTCG (QEMU's own) or Bochs: a
//                                       tick is no time here
//     hypervisor                        its signature of CPUID 40000000H, or
//                                       unnamed
//     tsc_invariant                     yes or no: CPUID 80000007H:EDX[8]
//     tsc_hz, tsc_source                ticks a second, not in an emulator;
//                                       from CPUID 15h, measured by the PIT,
//                                       CPUID 16h, or not known and no tsc_hz
//     tsc_cpuid_15h_hz, tsc_pit_hz,     what each source says, where it says
//     tsc_pit_error_ppm,                anything
//     tsc_cpuid_16h_hz
//   @row SCENARIO MODE                  MODE: real, ring0, ring3, or - for none
//   @why VERDICT TEXT...                the row has no figures: unsupported,
//                                       unproven or hangs, and why
//   @rep BLOCKS STABLE                  a repetition: warm-up blocks, 0 or 1
//   @s EXIT HANDLER ENTRY EXITS [xN]    samples, in the order taken, N alike in
//                                       a row; ticks: h1-g0, h2-h1, g3-h2
//   @s - ROUND - 0 [xN]                 the same where no exit reached the
//   host:
//                                       g3-g0
//   @c ROUND [xN]                       control samples: g3-g0
//   @measured EXITS CONSISTENT MISSED   exits seen in all samples; 1 where they
//                                       come out even with the iterations;
//                                       samples whose handler never ran
//   @batch COUNT WITH WITHOUT           one batch: iterations, ticks with and
//                                       without the instruction
//   @count NAME WITH WITHOUT            by how much a counter moved in all
//                                       batches together; NAME as CounterName;
//                                       vmreads and vmwrites too, per batch sum
//   @end                                ends the row
//   @clause ID PART MODE VERDICT TEXT   a conformance clause: passed, failed,
//                                       skipped; PART is - where it has none
//   @check NAME VERDICT TEXT            one of the image's own checks: passed,
//                                       failed, deviates (known of this
//                                       emulator), skipped
//   @done CODE                          the last line: 0 ok, 1 a check failed,
//                                       2 usage, 3 no VMX and no SVM
//
// Numbers are decimal; ticks are signed. A log without @done was cut short.

#ifndef WORLDSWITCH_NATIVE_LOG_FORMAT_H_
#define WORLDSWITCH_NATIVE_LOG_FORMAT_H_

namespace worldswitch::native_log {

inline constexpr int kVersion = 1;
inline constexpr char kBegin[] = "@worldswitch";
inline constexpr char kInfo[] = "@info";
inline constexpr char kRow[] = "@row";
inline constexpr char kWhy[] = "@why";
inline constexpr char kRepetition[] = "@rep";
inline constexpr char kSample[] = "@s";
inline constexpr char kControl[] = "@c";
inline constexpr char kMeasured[] = "@measured";
inline constexpr char kBatch[] = "@batch";
inline constexpr char kCount[] = "@count";
inline constexpr char kEnd[] = "@end";
inline constexpr char kClause[] = "@clause";
inline constexpr char kCheck[] = "@check";
inline constexpr char kDone[] = "@done";

// Codes of @done.
inline constexpr unsigned kDoneOk = 0;
inline constexpr unsigned kDoneFailed = 1;
inline constexpr unsigned kDoneUsage = 2;
inline constexpr unsigned kDoneNoEngine = 3;

}  // namespace worldswitch::native_log

#endif  // WORLDSWITCH_NATIVE_LOG_FORMAT_H_
