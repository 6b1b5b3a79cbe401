// RDMSR and WRMSR that come to the caller, and which of them the engine may
// deal with by itself.
//
//   auto* msrs = FeatureOf<MsrExits>(vm);
//   msrs->exit_on(kMsrFiltered);
//   const std::uint64_t denied = 0;
//   const MsrFilterRange tsc = {.first = 0x10, .count = 1, .reads = true,
//                               .writes = true, .allowed = &denied};
//   msrs->set_filter(MsrFilterDefault::kAllow, &tsc, 1);
//
// The exits are kRdmsr and kWrmsr (core/exit.h, MsrExit): before the next run,
// store the value of an RDMSR, or 1 to *inject_gp to have #GP(0) raised.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_MSR_EXITS_H_
#define WORLDSWITCH_CORE_FEATURES_MSR_EXITS_H_

#include <cstddef>
#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// Why an access to an MSR may come to the caller; combine with |. On KVM
// MsrExit::engine_reason is one of these.
using MsrExitCauses = std::uint32_t;
inline constexpr MsrExitCauses kNoMsrExits = 0;
// The engine knows the MSR and would raise #GP: a value it cannot hold, one
// that is read-only.
inline constexpr MsrExitCauses kMsrInvalid = 1;
inline constexpr MsrExitCauses kMsrUnknown = 2;   // the engine has no such MSR
inline constexpr MsrExitCauses kMsrFiltered = 4;  // the filter denies it

// What the filter says of the MSRs that no range covers.
enum class MsrFilterDefault : std::uint8_t { kAllow, kDeny };

// Words of a bitmap of `count` MSRs.
constexpr std::size_t MsrBitmapWords(std::uint32_t count) {
  return (std::size_t{count} + 63) / 64;
}

struct MsrFilterRange {
  std::uint32_t first = 0;  // index of the first MSR
  std::uint32_t count = 0;  // MSRs, 1 to MsrExits::kMaxRangeMsrs
  bool reads = false;       // the range rules over RDMSR
  bool writes = false;      // ... over WRMSR; one of the two at least
  // MsrBitmapWords(count) words, MSR `first` in bit 0 of word 0. 1: the engine
  // deals with it; 0: denied.
  const std::uint64_t* allowed = nullptr;
};

// One thread at a time calls, also beside running vCPUs: a vCPU goes by the new
// rules from its next entry on.
class MsrExits {
 public:
  static constexpr FeatureId kId = FeatureId::kMsrExits;
  static constexpr std::uint32_t kMaxRanges = 16;
  static constexpr std::uint32_t kMaxRangeMsrs = 0x600 * 8;

  // From now on an access exits for these causes, and for the others raises
  // #GP, as all of them do in a new VM. kUnsupported: the engine hands none
  // out. kError with EINVAL: it does not know one of the causes.
  virtual Result exit_on(MsrExitCauses causes) = 0;

  // Takes the place of the filter that was there; count 0 with kAllow is none.
  // ranges: at most kMaxRanges; where two overlap, the first one rules. The
  // bitmaps are copied. The x2APIC's MSRs are never filtered. What a refused
  // call leaves is the filter of before. kUnsupported: the engine has no
  // filter. kError: EINVAL for a bad range, and for kDeny without a range.
  virtual Result set_filter(MsrFilterDefault otherwise,
                            const MsrFilterRange* ranges,
                            std::uint32_t count) = 0;

  virtual int last_error() const = 0;

 protected:
  ~MsrExits() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_MSR_EXITS_H_
