// One vCPU of KVM: the ops of core/vcpu_ops.h over KVM_RUN.
//
// `run` is one ioctl and is inline, so that the loop instantiated on KvmVcpu
// calls the kernel directly. Whatever is not of every entry (registers to move,
// an event that was injected, another thread than last time) sets a bit that
// sends the next run through RunWithWork. Made by KvmVm; see kvm_vm.h.
//
// Beyond the contract:
// - Store the data of an IN, an MMIO read or an RDMSR before fetching or
//   committing registers: those complete the exit with the data as it stands.
// - An instruction may need several exits (MMIO of 16 bytes, a read-modify-
//   write). If completing one exit brings up the next, it is kept for the next
//   run. Between the two, a fetch or commit in the middle of a read is refused
//   with EBUSY, since there is no state "after the instruction" yet.
// - Special registers always go to KVM by ioctl, and before the general ones,
//   so that a refused commit has changed nothing (REG.5). A refusal drops the
//   dirty groups and leaves nothing cached.
// - exit_detail(kRip) and kRflags do not complete an exit: of an I/O or MMIO
//   exit they are what KVM holds, which for some instructions is already the
//   state behind it. Once registers were fetched, they are those of the file.
// - KVM queues NMIs itself and holds them while one is being handled, so
//   request_nmi_window has nothing to do.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_VCPU_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_VCPU_H_

#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/exit_decode.h"
#include "backends/kvm/file_descriptor.h"
#include "backends/kvm/kick_block.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_run_call.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

// How registers travel between the kernel and the register file.
enum class RegisterTransport : std::uint8_t {
  kIoctl,     // KVM_GET_REGS, KVM_SET_REGS, ...
  kSyncArea,  // in the shared page, by KVM_RUN itself (KVM_CAP_SYNC_REGS)
};

class KvmVcpu final : public VcpuOps {
 public:
  struct Options {
    std::size_t page_bytes = 0;  // KVM_GET_VCPU_MMAP_SIZE
    RegisterTransport registers = RegisterTransport::kIoctl;
    int kick_signal = 0;  // prepared by KickBlock::PrepareSignal
    // The kernel has the local APIC: injecting interrupts is its business.
    bool kernel_irqchip = false;
    // The engine was asked to detect bus locks (ExitDetail::kBusLock).
    bool bus_lock_exits = false;
  };
  static absl::StatusOr<std::unique_ptr<KvmVcpu>> Create(
      int vm_fd, std::uint32_t id, const Options& options);
  // Must not be running. Handles to it kick nobody from now on.
  ~KvmVcpu();
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  // VcpuOps.
  [[gnu::always_inline]] Exit run() override {
    if (RegistersInUse() || plain_run_token_ != this_thread_token)
        [[unlikely]] {
      return RunWithWork();
    }
    const int result = KvmRunCall(fd_.get());
    if (result != 0) [[unlikely]]
      return EndFailedRun(-result);
    return DecodeExit(*page_);
  }
  Disposition handle_exit(const Exit& exit) override {
    // KVM puts back by itself what an exit interrupted.
    return exit.reason == ExitReason::kRetry ? Disposition::kResume
                                             : Disposition::kToCaller;
  }
  bool interrupt_allowed() override;
  InjectResult inject_irq(std::uint8_t vector) override;
  InjectResult inject_nmi() override;
  InjectResult inject_exception(const Event& event) override;
  void request_irq_window(bool wanted) override;
  void request_nmi_window(bool wanted) override;
  bool cancel_injection(Event* event) override;
  RegisterFile& registers() override { return file_; }
  Result fetch_registers(RegisterSet groups) override;
  Result commit_registers() override;
  OptionalValue exit_detail(ExitDetail detail) override;
  KickHandle kick_handle() override;
  int last_error() const override { return last_error_; }

  // For setting up, not between two entries. Each names what it attempted.
  absl::Status SetCpuid(const std::vector<kvm_cpuid_entry2>& entries);
  // A status that names the first register KVM does not accept.
  absl::Status GetMsrs(std::vector<kvm_msr_entry>* entries);
  absl::Status SetMsrs(const std::vector<kvm_msr_entry>& entries);
  // False: the engine knows no such attribute, or refuses the value.
  bool SetTscOffset(std::uint64_t offset);

  // Before state is read or written past the register file: the exit is
  // completed and the dirty registers are sent. False, with last_error(): not
  // now; EBUSY between two exits of one instruction.
  bool Settle();
  // After state was written past the register file: nothing is cached.
  void StateWasSet();

  // For the vendor backends: the vCPU's descriptor and its shared page.
  int fd() const { return fd_.get(); }
  kvm_run& page() { return *page_; }
  std::uint32_t id() const { return id_; }

 private:
  bool RegistersInUse() const {
    return file_.InUse(RegisterFile::kWanted | RegisterFile::kCached |
                       RegisterFile::kDirty);
  }

  // Bits of attention_: why the next run is not the plain one.
  static constexpr std::uint8_t kFlagsStale = 1;  // see PageTellsInterruptFlag
  static constexpr std::uint8_t kInjected = 2;    // an event, since last run
  static constexpr std::uint8_t kCompleted = 4;  // the exit in the page is over
  static constexpr std::uint8_t kKept = 8;       // the exit in the page is new
  static constexpr std::uint8_t kWindow = 16;    // the IRQ window is requested
  static constexpr std::uint8_t kSyncing = 32;   // kvm_valid_regs is not 0

  KvmVcpu(FileDescriptor fd, kvm_run* page, std::uint32_t id,
          const Options& options);

  // attention_ and plain_run_token_ change together.
  void Attend(std::uint8_t bits) {
    attention_ |= bits;
    plain_run_token_ = kNoToken;
  }
  void AttendOnly(std::uint8_t bits) {
    attention_ = bits;
    plain_run_token_ = bits == 0 ? thread_token_ : kNoToken;
  }
  void AttendNoMore(std::uint8_t bits) {
    AttendOnly(attention_ & static_cast<std::uint8_t>(~bits));
  }

  // run, with everything that can be there to do around it.
  Exit RunWithWork();
  Exit EndFailedRun(int error_number);
  Exit DecodeFailure(int error_number);
  // The exit that Complete came upon.
  Exit TakeKept();
  void CacheWanted(const Exit& exit);

  // True if KVM still owes the end of the instruction that exited.
  bool CompletionPending() const {
    return (attention_ & kCompleted) == 0 &&
           IsCompletedByNextRun(page_->exit_reason);
  }
  // Has KVM finish that instruction without entering the guest, and `refresh`
  // stored in the sync area. False: it could not; see kKept and last_error_.
  bool Complete(RegisterSet refresh);
  // True between two exits of one instruction that reads.
  bool InMidInstruction() const;
  // Completes what is pending. False: not now, with last_error_.
  bool PrepareForState(RegisterSet refresh);
  // by_run: the general registers may go through the sync area.
  bool SendDirty(bool by_run);
  void CopyFromSyncArea(RegisterSet groups);
  bool Ioctl(unsigned long request, void* argument);

  // True if ready_for_interrupt_injection and if_flag are those of now.
  bool PageTellsInterruptFlag() const;
  // Whether an accepted event still waits for its entry.
  bool EventOnItsWay();
  InjectResult Accept(EventKind kind);

  static constexpr std::uint64_t kNoToken = ~std::uint64_t{0};

  // What `run` touches, together.
  kvm_run* const page_;
  // The bound thread's token, or kNoToken while attention_ asks for more.
  std::uint64_t plain_run_token_ = kNoToken;
  FileDescriptor fd_;
  std::uint8_t attention_ = kFlagsStale | kCompleted;
  const RegisterTransport transport_;
  const bool kernel_irqchip_;
  const bool bus_lock_exits_;
  bool event_accepted_ = false;  // and not yet seen to be delivered
  EventKind accepted_kind_ = EventKind::kIrq;
  RegisterFile file_ = {};

  std::uint64_t thread_token_ = kNoToken;  // of the bound thread
  KickBlock* const kick_;
  const std::size_t page_bytes_;
  const std::uint32_t id_;
  int last_error_ = 0;
  int kept_error_ = 0;  // kKept: errno of the run, 0 if it returned 0
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_VCPU_H_
