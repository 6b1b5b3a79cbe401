#include "backends/vmx_intel/native/vmx_wishes.h"

#include "backends/vmx_intel/native/vmx_native_knobs.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

}  // namespace

VmxControlWishes WishesOf(const NativeKnobValues& knobs) {
  VmxControlWishes wishes = BaseWishes();
  const auto ask = [&wishes](bool on, Word word, unsigned bit) {
    if (on) wishes.optional[word] |= ControlBit(bit);
  };
  ask(IsOn(knobs, VmxKnob::kVpid), Word::kSecondary, vmx::kEnableVpid);
  ask(IsOn(knobs, VmxKnob::kPleGap), Word::kSecondary, vmx::kPauseLoopExiting);
  ask(IsOn(knobs, VmxKnob::kAcknowledgeInterrupt), Word::kExit,
      vmx::kExitAcknowledge);
  const bool efer = IsOn(knobs, VmxKnob::kEferSwitching);
  ask(efer, Word::kExit, vmx::kExitSaveEfer);
  ask(efer, Word::kExit, vmx::kExitLoadEfer);
  ask(efer, Word::kEntry, vmx::kEntryLoadEfer);
  const bool pat = IsOn(knobs, VmxKnob::kPatSwitching);
  ask(pat, Word::kExit, vmx::kExitSavePat);
  ask(pat, Word::kExit, vmx::kExitLoadPat);
  ask(pat, Word::kEntry, vmx::kEntryLoadPat);
  ask(IsOn(knobs, VmxKnob::kMsrBitmap), Word::kPrimary, vmx::kUseMsrBitmaps);
  // One of the two, or no port would exit.
  wishes.required[Word::kPrimary] |=
      ControlBit(IsOn(knobs, VmxKnob::kIoBitmap) ? vmx::kUseIoBitmaps
                                                 : vmx::kUnconditionalIo);
  return wishes;
}

}  // namespace worldswitch
