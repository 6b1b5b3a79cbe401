#include "core/vcpu_loop.h"

namespace worldswitch {

template Exit vcpu_enter_guest<VcpuOps, ExitHandler>(VcpuOps&, VcpuContext&,
                                                     ExitHandler&);

}  // namespace worldswitch
