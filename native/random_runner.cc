#include "native/random_runner.h"

#include "backends/native/processor.h"
#include "core/features/processor_controls.h"
#include "core/text_line.h"
#include "guests/guests.h"
#include "native/activity.h"
#include "native/console.h"
#include "native/cpu.h"
#include "native/host_integrity.h"
#include "native/interrupts.h"
#include "native/log_writer.h"
#include "native/machine_end.h"
#include "native/random_code.h"
#include "native/random_numbers.h"
#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kMostExits = 64;  // of one guest
constexpr std::uint64_t kEferLme = 1u << 8;
constexpr std::size_t kCodeBytes = 256;
// Ticks of the TSC, and counts of the timer: what one run may take.
constexpr std::uint32_t kPatience = 20'000;
constexpr std::uint64_t kMemoryCheckEvery = 64;  // runs
constexpr std::uint64_t kTimerCheckEvery = 16;
constexpr std::uint64_t kProgressEvery = 1000;

// QEMU 7.2 aborts where a guest's watchpoint is hit while an exception is
// delivered to the guest (cpu_check_watchpoint takes a lock that is held), so
// there a guest that writes a debug register ends. Writes of EFER and CR4 have
// no effect there, see KeepsLme, and those of CR0 neither: QEMU takes PG
// without PE, where a guest can fault for ever, and its time, counted in
// instructions, stands still meanwhile.
bool KeepFromWhatEndsQemu(NativeVm& vm) {
  auto* const controls = FeatureOf<ProcessorControls>(vm);
  return controls != nullptr &&
         controls->set_intercept(Intercept::kMovDr, true) == Result::kOk &&
         controls->set_intercept(Intercept::kMovToCr0, true) == Result::kOk &&
         controls->set_intercept(Intercept::kMovToCr4, true) == Result::kOk &&
         controls->set_msr_intercept(ring0::kMsrEfer, false, true) ==
             Result::kOk;
}

// One guest, from a seed to its end.
class RandomGuest {
 public:
  RandomGuest(NativeVm& vm, std::uint64_t seed, std::uint64_t* exits)
      : vm_(vm), vcpu_(vm.vcpu(0)), random_(seed), exits_(exits) {}

  void Run() {
    if (!Load()) return;
    for (std::uint32_t i = 0; i < kMostExits; ++i) {
      const KickHandle handle = vcpu_.kick_handle();
      run_guard.Begin(handle, kPatience);
      Exit exit = vcpu_.run();
      run_guard.End();
      ++exits_[static_cast<std::size_t>(exit.reason)];
      BackendResumes(vcpu_, exit);
      if (!GoesOn(exit)) return;
      Answer(exit);
      Disturb();
    }
  }

 private:
  bool Load() {
    constexpr GuestMode kModes[] = {GuestMode::kReal, GuestMode::kRing0,
                                    GuestMode::kRing3};
    std::uint8_t code[kCodeBytes];
    MakeRandomCode(random_, code, sizeof(code));
    // With interrupts on: Bochs 2.7 lets no host interrupt into a guest that
    // is entered with RFLAGS.IF clear.
    if (LoadCode(vm_, 0, kModes[random_.Below(3)], code, sizeof(code), true) !=
        Result::kOk) {
      return false;
    }
    RegisterFile& file = vcpu_.registers();
    FillGeneral(file.general);
    file.dirty |= kGeneralRegisters;
    if (random_.OneIn(8)) SpoilSpecial();
    return true;
  }

  void FillGeneral(GeneralRegisters& general) {
    std::uint64_t* const all[] = {
        &general.rax, &general.rbx, &general.rcx, &general.rdx, &general.rsi,
        &general.rdi, &general.rbp, &general.r8,  &general.r9,  &general.r10,
        &general.r11, &general.r12, &general.r13, &general.r14, &general.r15};
    for (std::uint64_t* each : all) *each = Value();
    if (random_.OneIn(4)) general.rsp = Value();
    if (random_.OneIn(4)) general.rflags ^= random_.Next() & 0x3f7fd5;
  }

  // Anything; or what leads somewhere: guest memory, the hole, a small number.
  std::uint64_t Value() {
    switch (random_.Below(4)) {
      case 0:
        return random_.Next();
      case 1:
        return random_.Below(WS_MEMORY_BYTES + 0x40000);
      case 2:
        return random_.Below(256);
      default:
        return std::uint64_t{1} << random_.Below(64);
    }
  }

  // Whether this host outlives a guest with that bit the other way round. QEMU
  // 7.2 does not, where the guest has neither paging nor CR4.PAE: #VMEXIT loads
  // CR0 before CR4 and EFER, sees the guest's LME without PAE, and leaves CR0
  // as the guest's.
  static bool KeepsLme(const SpecialRegisters& special) {
    constexpr std::uint64_t kCr4Pae = 1u << 5;
    return !IsQemu() || (special.cr4 & kCr4Pae) != 0;
  }

  // State that the entry may refuse.
  void SpoilSpecial() {
    if (vcpu_.fetch_registers(kSpecialRegisters) != Result::kOk) return;
    SpecialRegisters& special = vcpu_.registers().special;
    Segment* const segments[] = {&special.cs, &special.ds,  &special.es,
                                 &special.fs, &special.gs,  &special.ss,
                                 &special.tr, &special.ldtr};
    Segment& segment = *segments[random_.Below(8)];
    const std::uint64_t bit = std::uint64_t{1} << random_.Below(64);
    switch (random_.Below(8)) {
      case 0:
        special.cr0 ^= bit;
        break;
      case 1:
        special.cr3 ^= bit;
        break;
      case 2:
        special.cr4 ^= bit;
        break;
      case 3:
        if (bit != kEferLme || KeepsLme(special)) special.efer ^= bit;
        break;
      case 4:
        // QEMU 7.2 ends at the first use of a TSS that is not present.
        if (IsQemu() && &segment == &special.tr) break;
        segment.access_rights ^= static_cast<std::uint32_t>(bit);
        break;
      case 5:
        segment.base ^= bit;
        break;
      case 6:
        segment.limit ^= static_cast<std::uint32_t>(bit);
        break;
      default:
        special.idtr.base ^= bit;
        break;
    }
    vcpu_.registers().dirty |= kSpecialRegisters;
    // Refused: the guest runs with the state it had.
    if (vcpu_.commit_registers() != Result::kOk) return;
  }

  static bool GoesOn(const Exit& exit) {
    switch (exit.reason) {
      case ExitReason::kShutdown:
      case ExitReason::kEntryFailure:
      case ExitReason::kInternalError:
      case ExitReason::kInterrupted:
      case ExitReason::kError:
        return false;
      case ExitReason::kIo:
        return exit.io.port != WS_PORT_FAULT;
      case ExitReason::kDebugRegister:
        return !exit.register_access.is_write || !IsQemu();
      default:
        return true;
    }
  }

  void FillData(void* data, std::size_t bytes) {
    auto* const to = static_cast<std::uint8_t*>(data);
    for (std::size_t i = 0; i < bytes; ++i) {
      to[i] = static_cast<std::uint8_t>(random_.Next());
    }
  }

  void Answer(Exit& exit) {
    switch (exit.reason) {
      case ExitReason::kIo:
        if (!exit.io.is_write) {
          FillData(exit.io.data, std::size_t{exit.io.size} * exit.io.count);
        }
        break;
      case ExitReason::kMmio:
        if (!exit.mmio.is_write) FillData(exit.mmio.data, exit.mmio.length);
        break;
      case ExitReason::kRdmsr:
        *exit.msr.data = random_.Next();
        *exit.msr.inject_gp = static_cast<std::uint8_t>(random_.Below(2));
        break;
      case ExitReason::kWrmsr:
        *exit.msr.inject_gp = static_cast<std::uint8_t>(random_.Below(2));
        break;
      case ExitReason::kCpuid:
        if (exit.cpuid.result != nullptr) {
          FillData(exit.cpuid.result, 4 * sizeof(std::uint64_t));
        }
        break;
      case ExitReason::kTimeStamp:
        if (exit.time_stamp.result != nullptr) {
          *exit.time_stamp.result = random_.Next();
        }
        break;
      default:
        break;
    }
  }

  void Disturb() {
    switch (random_.Below(16)) {
      case 0:
        vcpu_.inject_irq(static_cast<std::uint8_t>(random_.Next()));
        break;
      case 1:
        vcpu_.inject_nmi();
        break;
      case 2: {
        const auto vector = static_cast<std::uint8_t>(random_.Below(32));
        vcpu_.inject_exception(
            {.kind = EventKind::kException,
             .vector = vector,
             .has_error_code = random_.OneIn(2),
             .error_code = static_cast<std::uint32_t>(random_.Below(65536))});
        break;
      }
      case 3:
        vcpu_.request_irq_window(random_.OneIn(2));
        break;
      case 4:
        vcpu_.request_nmi_window(random_.OneIn(2));
        break;
      case 5: {
        Event event;
        vcpu_.cancel_injection(&event);
        break;
      }
      case 6:
        vcpu_.fetch_registers(kAllRegisters);
        break;
      default:
        break;
    }
  }

  NativeVm& vm_;
  VcpuOps& vcpu_;
  RandomNumbers random_;
  std::uint64_t* exits_;
};

const char* CheckHost(const HostIntegrity& integrity, std::uint64_t run,
                      bool last) {
  const char* what = integrity.CheckRegisters();
  if (what == nullptr && (last || run % kTimerCheckEvery == 0)) {
    what = integrity.CheckTimer();
  }
  if (what == nullptr && (last || run % kMemoryCheckEvery == 0)) {
    what = integrity.CheckMemory();
  }
  return what;
}

// A guest's #DB that was pending at its exit is the guest's, not the host's.
void CheckDebugExceptions(std::uint64_t taken, CheckSink& sink) {
  constexpr char kName[] = "random.debug_exceptions";
  if (taken == 0) {
    sink.Check(kName, CheckVerdict::kPassed, "none of the guests' in the host");
    return;
  }
  TextLine text;
  text.AppendDecimal(taken).Append(
      " #DBs of the guests were delivered to the host behind the exit");
  if (!IsBochs()) {
    sink.Check(kName, CheckVerdict::kFailed, text.c_str());
    return;
  }
  text.Append(" (Bochs 2.7 keeps them pending across #VMEXIT)");
  sink.Check(kName, CheckVerdict::kDeviates, text.c_str());
}

}  // namespace

void RunRandomGuests(VmMaker& maker, const HostServices& host,
                     std::uint64_t runs, std::uint64_t seed, CheckSink& sink) {
  std::uint64_t exits[kExitReasonCount] = {};
  const HostIntegrity integrity(host);
  LogInfo("random.seed", seed);
  LogInfo("random.runs", runs);
  if (IsQemu()) {
    LogInfo(
        "random.without",
        "breakpoints: QEMU aborts at a guest's in an exception's delivery; "
        "TR's access rights: it aborts at a TSS that is not present; writes "
        "of CR0, CR4 and EFER: it loses the host's CR0 at the #VMEXIT of a "
        "guest with LME without PAE, and takes PG without PE");
  }
  const std::uint64_t debug_exceptions = DebugExceptionsTaken();
  for (std::uint64_t run = 0; run < runs; ++run) {
    SetActivity("random guest of seed", seed + run);
    if (run % kProgressEvery == 0 && run > 0) {
      console.Decimal(run).Text(" random guests").End();
    }
    const char* why = "";
    NativeVm* vm = maker.Make({.memory_bytes = WS_MEMORY_BYTES}, nullptr, &why);
    if (vm == nullptr) {
      sink.Check("random.guests", CheckVerdict::kFailed, why);
      return;
    }
    run_guard.Limit(*vm, kPatience);
    // Nobody switches them, and what one guest left another one would find.
    ClearBreakpoints();
    if (IsQemu() && !KeepFromWhatEndsQemu(*vm)) {
      maker.Destroy(vm);
      sink.Check("random.guests", CheckVerdict::kFailed,
                 "writes of DRs, CRs or EFER cannot be intercepted, as QEMU "
                 "needs");
      return;
    }
    RandomGuest(*vm, seed + run, exits).Run();
    maker.Destroy(vm);
    const char* what = CheckHost(integrity, run, run + 1 == runs);
    if (what != nullptr) {
      TextLine text;
      text.Append("after the guest of seed ").AppendDecimal(seed + run);
      text.Append(": ").Append(what);
      sink.Check("random.guests", CheckVerdict::kFailed, text.c_str());
      return;
    }
  }
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < kExitReasonCount; ++i) {
    if (exits[i] == 0) continue;
    TextLine key;
    key.Append("random.exits.");
    key.Append(ExitReasonName(static_cast<ExitReason>(i)));
    LogInfo(key.c_str(), exits[i]);
    all += exits[i];
  }
  TextLine text;
  text.AppendDecimal(runs).Append(" guests, ").AppendDecimal(all);
  text.Append(" exits; the host is what it was");
  sink.Check("random.guests", CheckVerdict::kPassed, text.c_str());
  CheckDebugExceptions(DebugExceptionsTaken() - debug_exceptions, sink);
}

}  // namespace worldswitch::native
