// What has to be done before the next entry, and behind the exit that follows
// it: two words that the way in and out of the guest tests once each.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_ENTRY_WORK_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_ENTRY_WORK_H_

#include <cstdint>

#include "backends/svm_amd/native/vmcb.h"

namespace worldswitch::svm {

struct EntryWork {
  // Bits of `before`.
  static constexpr std::uint32_t kDisabled = 1u << 0;     // SVM is off
  static constexpr std::uint32_t kComplete = 1u << 1;     // an exit's answer
  static constexpr std::uint32_t kTimeStamp = 1u << 2;    // ... of RDTSC
  static constexpr std::uint32_t kLoad = 1u << 3;         // VMLOAD
  static constexpr std::uint32_t kFlush = 1u << 4;        // the guest's TLB
  static constexpr std::uint32_t kNmiWindow = 1u << 5;    // it is open
  static constexpr std::uint32_t kFlushAlways = 1u << 6;  // a knob says so
  static constexpr std::uint32_t kVerify = 1u << 7;  // somebody wrote the VMCB
  static constexpr std::uint32_t kSwitchAll = 1u << 8;    // VMLOAD, VMSAVE
  static constexpr std::uint32_t kBreakpoints = 1u << 9;  // DR0 to DR3
  static constexpr std::uint32_t kPortValue = 1u << 10;   // ... of IN
  static constexpr std::uint32_t kIrqWindow = 1u << 11;   // may be open already
  // Bits of `after`.
  static constexpr std::uint32_t kEvent = 1u << 0;    // one went in
  static constexpr std::uint32_t kFlushed = 1u << 1;  // TLB_CONTROL is set
  static constexpr std::uint32_t kTouched = 1u << 2;  // clean bits are clear
  static constexpr std::uint32_t kNmi = 1u << 3;      // the guest does IRET

  std::uint32_t before = 0;
  std::uint32_t after = 0;

  // bits: SvmClean, of what is changed in the VMCB.
  void Touch(Vmcb& vmcb, std::uint32_t bits) {
    vmcb.control.clean &= ~bits;
    after |= kTouched;
  }
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_ENTRY_WORK_H_
