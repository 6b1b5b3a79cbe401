// Names that both vendors share: general registers by their number, exceptions
// by their vector.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_X86_NAMES_H_
#define WORLDSWITCH_CORE_X86_NAMES_H_

namespace worldswitch {

// In ModRM order, REX bit included.
inline constexpr const char* kGeneralRegisterNames[16] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

// By vector; null: reserved, or not an exception.
inline constexpr const char* kExceptionNames[32] = {
    "#DE",   "#DB",   nullptr, "#BP",   "#OF", "#BR", "#UD",   "#NM",
    "#DF",   nullptr, "#TS",   "#NP",   "#SS", "#GP", "#PF",   nullptr,
    "#MF",   "#AC",   "#MC",   "#XM",   "#VE", "#CP", nullptr, nullptr,
    nullptr, nullptr, nullptr, nullptr, "#HV", "#VC", "#SX",   nullptr};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_X86_NAMES_H_
