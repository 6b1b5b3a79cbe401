#include "backends/svm_amd/native/svm_msrs.h"

#include <cerrno>

#include "backends/svm_amd/native/svm_instructions.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint32_t kMsrTsc = 0x10;
constexpr std::uint32_t kMsrApicBase = 0x1B;
constexpr std::uint32_t kMsrSysenterCs = 0x174;
constexpr std::uint32_t kMsrSysenterEsp = 0x175;
constexpr std::uint32_t kMsrSysenterEip = 0x176;
constexpr std::uint32_t kMsrDebugCtl = 0x1D9;
constexpr std::uint32_t kMsrPat = 0x277;
constexpr std::uint32_t kMsrStar = 0xC0000081;
constexpr std::uint32_t kMsrLstar = 0xC0000082;
constexpr std::uint32_t kMsrCstar = 0xC0000083;
constexpr std::uint32_t kMsrSfmask = 0xC0000084;
constexpr std::uint32_t kMsrFsBase = 0xC0000100;
constexpr std::uint32_t kMsrGsBase = 0xC0000101;
constexpr std::uint32_t kMsrKernelGsBase = 0xC0000102;

constexpr std::uint32_t kSwitched[] = {
    kMsrSysenterCs, kMsrSysenterEsp, kMsrSysenterEip, kMsrStar,
    kMsrLstar,      kMsrCstar,       kMsrSfmask,      kMsrFsBase,
    kMsrGsBase,     kMsrKernelGsBase};

// SCE, LME, NXE: what a guest may change. LMA follows LME and CR0.PG.
constexpr std::uint64_t kGuestEfer = 1u << 0 | kEferLme | kEferNxe;

bool IsPat(std::uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t type = value >> (8 * i) & 0xFF;
    if (type == 2 || type == 3 || type > 7) return false;
  }
  return true;
}

std::uint64_t* FieldOf(std::uint32_t msr, VmcbSave& save) {
  switch (msr) {
    case kMsrSysenterCs:
      return &save.sysenter_cs;
    case kMsrSysenterEsp:
      return &save.sysenter_esp;
    case kMsrSysenterEip:
      return &save.sysenter_eip;
    case kMsrDebugCtl:
      return &save.debug_control;
    case kMsrStar:
      return &save.star;
    case kMsrLstar:
      return &save.lstar;
    case kMsrCstar:
      return &save.cstar;
    case kMsrSfmask:
      return &save.sfmask;
    case kMsrFsBase:
      return &save.fs.base;
    case kMsrGsBase:
      return &save.gs.base;
    case kMsrKernelGsBase:
      return &save.kernel_gs_base;
    default:
      return nullptr;
  }
}

}  // namespace

bool IsSwitchedByVmload(std::uint32_t msr) {
  for (const std::uint32_t switched : kSwitched) {
    if (msr == switched) return true;
  }
  return false;
}

MsrAnswer AnswerMsr(std::uint32_t msr, bool write, std::uint64_t* value,
                    Vmcb& vmcb, std::uint64_t* apic_base) {
  VmcbSave& save = vmcb.save;
  switch (msr) {
    case kMsrEfer: {
      if (!write) {
        *value = save.efer & ~kEferSvme;
        return MsrAnswer::kDone;
      }
      const std::uint64_t fixed = save.efer & ~kGuestEfer;
      const bool turns_lme = ((*value ^ save.efer) & kEferLme) != 0;
      if ((*value & ~(kGuestEfer | kEferLma)) != 0 ||
          (turns_lme && (save.cr0 & kCr0Pg) != 0)) {
        return MsrAnswer::kInvalid;
      }
      save.efer = fixed | (*value & kGuestEfer);
      return MsrAnswer::kDone;
    }
    case kMsrPat:
      if (write && !IsPat(*value)) return MsrAnswer::kInvalid;
      (write ? save.g_pat : *value) = write ? *value : save.g_pat;
      return MsrAnswer::kDone;
    case kMsrTsc:
      if (write) {
        vmcb.control.tsc_offset = *value - ReadTsc();
      } else {
        *value = ReadTsc() + vmcb.control.tsc_offset;
      }
      return MsrAnswer::kDone;
    case kMsrApicBase:
      (write ? *apic_base : *value) = write ? *value : *apic_base;
      return MsrAnswer::kDone;
    default:
      break;
  }
  std::uint64_t* const field = FieldOf(msr, save);
  if (field == nullptr) return MsrAnswer::kUnknown;
  (write ? *field : *value) = write ? *value : *field;
  return MsrAnswer::kDone;
}

SvmMsrs::SvmMsrs(const HostServices& host, MsrBitmap bitmap)
    : bitmap_(bitmap), pages_(host, 3 * SvmMsrMap::kPages + kRangePages) {
  if (!ok()) return;
  auto* const bytes = pages_.as<std::uint8_t>();
  map_ = SvmMsrMap(bytes);
  asked_ = SvmMsrMap(bytes + SvmMsrMap::kBytes);
  let_go_ = SvmMsrMap(bytes + 2 * SvmMsrMap::kBytes);
  range_words_ =
      reinterpret_cast<std::uint64_t*>(bytes + 3 * SvmMsrMap::kBytes);
  Rebuild();
}

Result SvmMsrs::SetIntercept(std::uint32_t msr, bool reads, bool writes) {
  if (!SvmMsrMap::Covers(msr)) {
    return reads && writes ? Result::kOk : Result::kUnsupported;
  }
  asked_.Set(msr, reads, writes);
  let_go_.Set(msr, !reads, !writes);
  has_let_go_ = true;
  Apply(msr);
  return Result::kOk;
}

bool SvmMsrs::GoesToCaller(std::uint32_t msr, bool write, bool known,
                           MsrExitCauses* cause) const {
  *cause = kNoMsrExits;
  if (asked_.Has(msr, write)) return true;
  if (Denies(msr, write)) {
    *cause = kMsrFiltered;
  } else if (!known) {
    *cause = kMsrUnknown;
  }
  return (causes_ & *cause) != 0;
}

Result SvmMsrs::exit_on(MsrExitCauses causes) {
  if ((causes & ~(kMsrInvalid | kMsrUnknown | kMsrFiltered)) != 0) {
    last_error_ = EINVAL;
    return Result::kError;
  }
  causes_ = causes;
  return Result::kOk;
}

Result SvmMsrs::set_filter(MsrFilterDefault otherwise,
                           const MsrFilterRange* ranges, std::uint32_t count) {
  bool is_good = count <= kMaxRanges &&
                 (count > 0 || otherwise == MsrFilterDefault::kAllow);
  for (std::uint32_t i = 0; is_good && i < count; ++i) {
    is_good = ranges[i].count > 0 && ranges[i].count <= kMaxRangeMsrs &&
              (ranges[i].reads || ranges[i].writes) &&
              ranges[i].allowed != nullptr;
  }
  if (!is_good) {
    last_error_ = EINVAL;
    return Result::kError;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    ranges_[i] = {.first = ranges[i].first,
                  .count = ranges[i].count,
                  .reads = ranges[i].reads,
                  .writes = ranges[i].writes};
    __builtin_memcpy(range_words_ + i * kRangeWords, ranges[i].allowed,
                     MsrBitmapWords(ranges[i].count) * sizeof(std::uint64_t));
  }
  range_count_ = count;
  deny_others_ = otherwise == MsrFilterDefault::kDeny;
  Rebuild();
  return Result::kOk;
}

bool SvmMsrs::Denies(std::uint32_t msr, bool write) const {
  constexpr std::uint32_t kX2apic = 0x800;
  constexpr std::uint32_t kX2apicMsrs = 0x100;
  if (msr - kX2apic < kX2apicMsrs) return false;
  for (std::uint32_t i = 0; i < range_count_; ++i) {
    const Range& range = ranges_[i];
    const std::uint32_t at = msr - range.first;
    if (at >= range.count || !(write ? range.writes : range.reads)) continue;
    const std::uint64_t word = range_words_[i * kRangeWords + at / 64];
    return (word >> (at % 64) & 1) == 0;
  }
  return deny_others_;
}

void SvmMsrs::Apply(std::uint32_t msr) {
  const bool passes =
      bitmap_ == MsrBitmap::kSwitched && IsSwitchedByVmload(msr);
  bool exits[2] = {};
  for (const bool write : {false, true}) {
    exits[write] = asked_.Has(msr, write) || Denies(msr, write) ||
                   (!passes && !let_go_.Has(msr, write));
  }
  map_.Set(msr, exits[0], exits[1]);
}

void SvmMsrs::Rebuild() {
  auto* const bytes = pages_.as<std::uint8_t>();
  __builtin_memset(bytes, 0xFF, SvmMsrMap::kBytes);
  for (const std::uint32_t msr : kSwitched) Apply(msr);
  if (!has_let_go_) return;
  constexpr std::uint32_t kFirst[] = {0, 0xC0000000, 0xC0010000};
  constexpr std::uint32_t kMsrs = 0x2000;
  for (const std::uint32_t first : kFirst) {
    for (std::uint32_t i = 0; i < kMsrs; ++i) {
      if (let_go_.Has(first + i, false) || let_go_.Has(first + i, true)) {
        Apply(first + i);
      }
    }
  }
}

}  // namespace worldswitch::svm
