// `failures`, the part of it that both vendors have in common: nested pages in
// every state that ProcessorControls offers, touched by a guest. Freestanding.

#ifndef WORLDSWITCH_NATIVE_PAGE_CHECKS_H_
#define WORLDSWITCH_NATIVE_PAGE_CHECKS_H_

#include "native/checks.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

// "page.SIZE.STATE" for an alias of each size, and "page.hole.STATE".
void RunPageChecks(VmMaker& maker, CheckSink& sink);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_PAGE_CHECKS_H_
