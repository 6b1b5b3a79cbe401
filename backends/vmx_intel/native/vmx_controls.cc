#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

struct WordInfo {
  const char* name;
  VmxControlGroup group;
  VmcsField field;
};
constexpr WordInfo kWords[kVmxControlWords] = {
    {"pin", VmxControlGroup::kPinBased, VmcsField::kPinBasedControls},
    {"primary", VmxControlGroup::kPrimary, VmcsField::kPrimaryControls},
    {"secondary", VmxControlGroup::kSecondary, VmcsField::kSecondaryControls},
    {"exit", VmxControlGroup::kExit, VmcsField::kExitControls},
    {"entry", VmxControlGroup::kEntry, VmcsField::kEntryControls},
};

const WordInfo& InfoOf(Word word) {
  return kWords[static_cast<std::size_t>(word)];
}

template <typename... Bits>
constexpr std::uint32_t Mask(Bits... bits) {
  return (ControlBit(bits) | ...);
}

}  // namespace

VmxControlGroup GroupOf(Word word) { return InfoOf(word).group; }
VmcsField FieldOf(Word word) { return InfoOf(word).field; }
const char* VmxControlWordName(Word word) { return InfoOf(word).name; }

VmxControlWishes BaseWishes() {
  VmxControlWishes wishes;
  wishes.required[Word::kPin] = Mask(vmx::kPinExternalInterrupt, vmx::kPinNmi);
  wishes.optional[Word::kPin] = Mask(vmx::kPinVirtualNmis);
  wishes.required[Word::kPrimary] =
      Mask(vmx::kHltExiting, vmx::kMwaitExiting, vmx::kCr8LoadExiting,
           vmx::kCr8StoreExiting, vmx::kMovDrExiting, vmx::kMonitorExiting,
           vmx::kSecondaryControls);
  wishes.required[Word::kSecondary] =
      Mask(vmx::kEnableEpt, vmx::kUnrestrictedGuest);
  wishes.optional[Word::kSecondary] =
      Mask(vmx::kEnableRdtscp, vmx::kWbinvdExiting, vmx::kEnableInvpcid);
  wishes.required[Word::kExit] = Mask(vmx::kExitSaveDebug, vmx::kExitHost64);
  wishes.required[Word::kEntry] = Mask(vmx::kEntryLoadDebug);
  return wishes;
}

VmxControlPlan NegotiateControls(const VmxCapabilities& capabilities,
                                 const VmxControlWishes& wishes) {
  VmxControlPlan plan;
  plan.possible = true;
  for (std::size_t i = 0; i < kVmxControlWords; ++i) {
    const auto word = static_cast<Word>(i);
    const VmxControls controls = capabilities.Controls(GroupOf(word));
    const std::uint32_t wanted = wishes.required[word] | wishes.optional[word];
    const auto value = static_cast<std::uint32_t>(
        controls.known ? controls.Adjust(wanted) : 0);
    plan.value[word] = value;
    plan.refused[word] = wishes.optional[word] & ~value;
    plan.forced[word] = value & ~wanted;
    const std::uint32_t missing = wishes.required[word] & ~value;
    if (missing != 0 && plan.possible) {
      plan.possible = false;
      plan.missing_word = word;
      plan.missing_bit = static_cast<unsigned>(__builtin_ctz(missing));
    }
  }
  return plan;
}

const char* VmxControlName(Word word, unsigned bit) {
  for (const BitField& field : VmxControlFields(GroupOf(word))) {
    if (field.low == bit) return field.name;
  }
  return nullptr;
}

void VmxControlWords::WriteAll(const VmxControlPlan& plan) {
  words_ = plan.value;
  for (std::size_t i = 0; i < kVmxControlWords; ++i) {
    const auto word = static_cast<Word>(i);
    vmcs_.Write(FieldOf(word), words_[word]);
  }
}

void VmxControlWords::Set(Word word, unsigned bit, bool on) {
  if (IsSet(word, bit) == on) return;
  words_[word] ^= ControlBit(bit);
  vmcs_.Write(FieldOf(word), words_[word]);
}

void VmxControlWords::SetIa32eGuest(bool on) {
  std::uint32_t& word = words_[Word::kEntry];
  word &= ~ControlBit(vmx::kEntryIa32eGuest);
  if (on) word |= ControlBit(vmx::kEntryIa32eGuest);
  vmcs_.Write(FieldOf(Word::kEntry), word);
}

}  // namespace worldswitch
