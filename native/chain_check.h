// `failures`, of both vendors: a guest that raises one #DB by another without
// end. Freestanding.

#ifndef WORLDSWITCH_NATIVE_CHAIN_CHECK_H_
#define WORLDSWITCH_NATIVE_CHAIN_CHECK_H_

#include "native/checks.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

// "guest.endless_debug_exceptions": the host gets its CPU back. One that does
// not hangs here, and the machine with it.
void RunChainCheck(VmMaker& maker, CheckSink& sink);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CHAIN_CHECK_H_
