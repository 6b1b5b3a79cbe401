// Entering the guest, completing exits, moving registers.

#include "backends/kvm/kvm_vcpu.h"

#include <atomic>

#include "backends/kvm/register_convert.h"

namespace worldswitch {
namespace {

// A RegisterSet is a mask for kvm_valid_regs and kvm_dirty_regs as it stands.
static_assert(kGeneralRegisters == KVM_SYNC_X86_REGS);
static_assert(kSpecialRegisters == KVM_SYNC_X86_SREGS);

constexpr std::uint64_t kHighestCr8 = 15;

// KVM's page is shared with the kicking threads in this one byte.
std::atomic_ref<__u8> ImmediateExit(kvm_run* page) {
  return std::atomic_ref<__u8>(page->immediate_exit);
}

}  // namespace

bool KvmVcpu::Ioctl(unsigned long request, void* argument) {
  if (::ioctl(fd_.get(), request, argument) == 0) return true;
  last_error_ = errno;
  return false;
}

Exit KvmVcpu::RunWithWork() {
  if (thread_token_ != this_thread_token) {
    thread_token_ = kick_->BindToThisThread();
  }
  if ((attention_ & kKept) != 0) return TakeKept();
  if (file_.dirty != kNoRegisters && !SendDirty(/*by_run=*/true)) {
    if ((attention_ & kKept) != 0) return TakeKept();
    return MakeExit(ExitReason::kError, page_->exit_reason, last_error_);
  }
  file_.cached = kNoRegisters;
  page_->kvm_valid_regs =
      transport_ == RegisterTransport::kSyncArea ? file_.wanted : 0;
  AttendOnly(static_cast<std::uint8_t>(
      (attention_ & kWindow) | (page_->kvm_valid_regs != 0 ? kSyncing : 0)));
  const int result = KvmRunCall(fd_.get());
  const Exit exit = result != 0 ? EndFailedRun(-result) : DecodeExit(*page_);
  if (exit.reason == ExitReason::kIrqWindow) request_irq_window(false);
  if (file_.wanted != kNoRegisters) CacheWanted(exit);
  return exit;
}

Exit KvmVcpu::DecodeFailure(int error_number) {
  // KVM leaves the reason of the exit before in the page.
  const Exit exit = DecodeFailedRun(*page_, error_number);
  // A memory fault is told once: else the next EFAULT that comes without one
  // would be taken for it.
  if (exit.reason == ExitReason::kMemoryFault) {
    page_->exit_reason = KVM_EXIT_UNKNOWN;
  }
  return exit;
}

Exit KvmVcpu::EndFailedRun(int error_number) {
  const Exit exit = DecodeFailure(error_number);
  Attend(kCompleted);
  if (exit.reason == ExitReason::kInterrupted) {
    // Answered, and so is any kick up to here. A read-modify-write, so that
    // what the kicker wrote before is seen after.
    ImmediateExit(page_).fetch_and(static_cast<__u8>(~kKickRequested));
  } else if (exit.reason == ExitReason::kError) {
    last_error_ = error_number;
  }
  if ((page_->kvm_dirty_regs & kGeneralRegisters) != 0) {
    // It failed before it took the registers: send them again next time.
    page_->kvm_dirty_regs = 0;
    file_.dirty |= kGeneralRegisters;
  }
  return exit;
}

Exit KvmVcpu::TakeKept() {
  auto immediate_exit = ImmediateExit(page_);
  if ((immediate_exit.load() & kKickRequested) != 0) {
    immediate_exit.fetch_and(static_cast<__u8>(~kKickRequested));
    return MakeExit(ExitReason::kInterrupted, KVM_EXIT_INTR, EINTR);
  }
  AttendNoMore(kKept);
  if (kept_error_ != 0) return DecodeFailure(kept_error_);
  AttendNoMore(kCompleted);
  return DecodeExit(*page_);
}

bool KvmVcpu::Complete(RegisterSet refresh) {
  page_->kvm_valid_regs = refresh;
  auto immediate_exit = ImmediateExit(page_);
  immediate_exit.fetch_or(kCompleteOnly);
  const int error_number = -KvmRunCall(fd_.get());
  immediate_exit.fetch_and(static_cast<__u8>(~kCompleteOnly));
  Attend(kCompleted);
  if (refresh != kNoRegisters) Attend(kSyncing);
  if (error_number == EINTR) return true;
  Attend(kKept);
  kept_error_ = error_number;
  return error_number == 0;
}

bool KvmVcpu::InMidInstruction() const {
  if ((attention_ & kKept) == 0) return false;
  switch (page_->exit_reason) {
    // What writes does so at the end of its instruction.
    case KVM_EXIT_IO:
      return page_->io.direction == KVM_EXIT_IO_IN;
    case KVM_EXIT_MMIO:
      return page_->mmio.is_write == 0;
    default:
      return IsCompletedByNextRun(page_->exit_reason);
  }
}

bool KvmVcpu::PrepareForState(RegisterSet refresh) {
  if (CompletionPending() && !Complete(refresh)) {
    last_error_ = kept_error_;
    return false;
  }
  if (InMidInstruction()) {
    last_error_ = EBUSY;
    return false;
  }
  return true;
}

bool KvmVcpu::SendDirty(bool by_run) {
  if (!PrepareForState(kNoRegisters)) return false;
  // A write that completing brought up comes first.
  if (by_run && (attention_ & kKept) != 0) return false;
  if ((file_.dirty & kSpecialRegisters) != 0) {
    kvm_sregs sregs;
    ToKvm(file_.special, &sregs);
    // KVM_RUN would refuse this one, and go on refusing.
    const bool accepted = file_.special.cr8 <= kHighestCr8;
    if (!accepted) last_error_ = EINVAL;
    if (!accepted || !Ioctl(KVM_SET_SREGS, &sregs)) {
      file_.dirty = kNoRegisters;
      file_.cached = kNoRegisters;
      return false;
    }
    // Without an interrupt controller in the kernel, KVM_RUN loads CR8 anew.
    page_->cr8 = file_.special.cr8;
    file_.dirty &= static_cast<RegisterSet>(~kSpecialRegisters);
    Attend(kFlagsStale);
  }
  if ((file_.dirty & kGeneralRegisters) != 0) {
    if (by_run && transport_ == RegisterTransport::kSyncArea) {
      ToKvm(file_.general, &page_->s.regs.regs);
      page_->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    } else {
      kvm_regs regs;
      ToKvm(file_.general, &regs);
      if (!Ioctl(KVM_SET_REGS, &regs)) {
        file_.dirty = kNoRegisters;
        file_.cached = kNoRegisters;
        return false;
      }
    }
    file_.dirty &= static_cast<RegisterSet>(~kGeneralRegisters);
    Attend(kFlagsStale);
  }
  return true;
}

void KvmVcpu::CopyFromSyncArea(RegisterSet groups) {
  if ((groups & kGeneralRegisters) != 0) {
    FromKvm(page_->s.regs.regs, &file_.general);
  }
  if ((groups & kSpecialRegisters) != 0) {
    FromKvm(page_->s.regs.sregs, &file_.special);
  }
  file_.cached |= groups;
}

void KvmVcpu::CacheWanted(const Exit& exit) {
  // Of an exit that is not complete there is nothing to cache yet (REG.4), and
  // after a failure the page may hold nothing new.
  if (exit.reason == ExitReason::kError || CompletionPending()) return;
  const auto groups =
      static_cast<RegisterSet>(file_.wanted & kAllRegisters & ~file_.dirty);
  if (transport_ == RegisterTransport::kSyncArea) {
    CopyFromSyncArea(groups);
  } else {
    fetch_registers(groups);
  }
}

Result KvmVcpu::fetch_registers(RegisterSet groups) {
  // What the caller changed is not overwritten.
  groups &=
      static_cast<RegisterSet>(kAllRegisters & ~(file_.cached | file_.dirty));
  if (groups == kNoRegisters) return Result::kOk;
  if (transport_ == RegisterTransport::kSyncArea && CompletionPending()) {
    // The run that completes brings the registers along.
    if (!PrepareForState(groups)) return Result::kError;
    if ((attention_ & kKept) == 0) {
      CopyFromSyncArea(groups);
      return Result::kOk;
    }
  } else if (!PrepareForState(kNoRegisters)) {
    return Result::kError;
  }
  if ((groups & kGeneralRegisters) != 0) {
    kvm_regs regs;
    if (!Ioctl(KVM_GET_REGS, &regs)) return Result::kError;
    FromKvm(regs, &file_.general);
    file_.cached |= kGeneralRegisters;
  }
  if ((groups & kSpecialRegisters) != 0) {
    kvm_sregs sregs;
    if (!Ioctl(KVM_GET_SREGS, &sregs)) return Result::kError;
    FromKvm(sregs, &file_.special);
    file_.cached |= kSpecialRegisters;
  }
  return Result::kOk;
}

Result KvmVcpu::commit_registers() {
  if (file_.dirty == kNoRegisters) return Result::kOk;
  const RegisterSet dirty = file_.dirty;
  if (!SendDirty(/*by_run=*/false)) return Result::kError;
  file_.cached |= dirty;
  return Result::kOk;
}

bool KvmVcpu::Settle() {
  if (!PrepareForState(kNoRegisters) || commit_registers() != Result::kOk) {
    return false;
  }
  if ((attention_ & kKept) == 0) return true;
  last_error_ = EBUSY;
  return false;
}

OptionalValue KvmVcpu::exit_detail(ExitDetail detail) {
  const bool of_exit = (attention_ & (kCompleted | kKept)) == 0;
  switch (detail) {
    case ExitDetail::kRip:
    case ExitDetail::kRflags: {
      GeneralRegisters general = file_.general;
      if ((file_.cached & kGeneralRegisters) == 0) {
        kvm_regs regs;
        if (!Ioctl(KVM_GET_REGS, &regs)) return {};
        FromKvm(regs, &general);
      }
      return {true, detail == ExitDetail::kRip ? general.rip : general.rflags};
    }
    case ExitDetail::kInterruptFlag:
      if (!PageTellsInterruptFlag()) return {};
      return {true, page_->if_flag != 0 ? 1u : 0u};
    case ExitDetail::kInterruptShadow: {
      kvm_vcpu_events events;
      if (!Ioctl(KVM_GET_VCPU_EVENTS, &events)) return {};
      return {true, events.interrupt.shadow != 0 ? 1u : 0u};
    }
    case ExitDetail::kGuestPhysicalAddress:
      if (!of_exit || page_->exit_reason != KVM_EXIT_MMIO) return {};
      return {true, page_->mmio.phys_addr};
    case ExitDetail::kBusLock:
      if (!bus_lock_exits_ || !of_exit) return {};
      return {true, SawBusLock(*page_) ? 1u : 0u};
    case ExitDetail::kInstructionLength:
    case ExitDetail::kVmxQualification:
    case ExitDetail::kSvmInfo1:
    case ExitDetail::kSvmInfo2:
      break;  // KVM does not tell
  }
  return {};
}

KickHandle KvmVcpu::kick_handle() {
  kick_->Ref();
  return KickHandle(kick_);
}

}  // namespace worldswitch
