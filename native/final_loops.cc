#include "native/final_loops.h"

namespace worldswitch::native {

FinalLoops FinalLoopsOf(const NativeBackend& /*backend*/) { return {}; }

}  // namespace worldswitch::native
