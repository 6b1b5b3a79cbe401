// Which MSR accesses of the guest go to the caller, and what becomes of the
// others: those of the guest's own state are answered from the VMCB, the rest
// raises #GP. One for each VM; core/features/msr_exits.h is its face.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSRS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSRS_H_

#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/svm_amd/native/svm_msr_map.h"
#include "backends/svm_amd/native/svm_native_knobs.h"
#include "backends/svm_amd/native/vmcb.h"
#include "core/features/msr_exits.h"

namespace worldswitch::svm {

class SvmMsrs final : public MsrExits {
 public:
  SvmMsrs(const HostServices& host, MsrBitmap bitmap);
  bool ok() const { return static_cast<bool>(pages_); }

  // Of the map that the processor reads.
  std::uint64_t map_pa() const { return pages_.physical(); }
  // ProcessorControls::set_msr_intercept.
  Result SetIntercept(std::uint32_t msr, bool reads, bool writes);

  // Why an access comes to the caller; kNoMsrExits: it does not. known: the
  // backend could answer it.
  bool GoesToCaller(std::uint32_t msr, bool write, bool known,
                    MsrExitCauses* cause) const;

  Result exit_on(MsrExitCauses causes) override;
  Result set_filter(MsrFilterDefault otherwise, const MsrFilterRange* ranges,
                    std::uint32_t count) override;
  int last_error() const override { return last_error_; }

 private:
  struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool reads = false;
    bool writes = false;
  };
  static constexpr std::size_t kRangeWords = MsrBitmapWords(kMaxRangeMsrs);
  static constexpr std::size_t kRangePages =
      (kMaxRanges * kRangeWords * 8 + kPageBytes - 1) / kPageBytes;

  bool Denies(std::uint32_t msr, bool write) const;
  void Rebuild();
  void Apply(std::uint32_t msr);

  const MsrBitmap bitmap_;
  HostPages pages_;   // the three maps, then the filter's bitmaps
  SvmMsrMap map_;     // what exits
  SvmMsrMap asked_;   // what SetIntercept wants handed out
  SvmMsrMap let_go_;  // what SetIntercept lets through
  bool has_let_go_ = false;
  std::uint64_t* range_words_ = nullptr;
  Range ranges_[kMaxRanges];
  std::uint32_t range_count_ = 0;
  bool deny_others_ = false;
  MsrExitCauses causes_ = kNoMsrExits;
  int last_error_ = 0;
};

// Answers an access from the guest's own state. Before: the VMCB is current (by
// VMSAVE where the MSR is one that VMLOAD switches). value: RDMSR's result, or
// what WRMSR writes.
enum class MsrAnswer : std::uint8_t { kUnknown, kDone, kInvalid };
MsrAnswer AnswerMsr(std::uint32_t msr, bool write, std::uint64_t* value,
                    Vmcb& vmcb, std::uint64_t* apic_base);
// FS.base to SYSENTER_EIP.
bool IsSwitchedByVmload(std::uint32_t msr);

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSRS_H_
