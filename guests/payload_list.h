/* The payloads, once, for the assembler and for C++. X(name): see
 * guests/payloads.S for what each one does. */

#ifndef WORLDSWITCH_GUESTS_PAYLOAD_LIST_H_
#define WORLDSWITCH_GUESTS_PAYLOAD_LIST_H_

#define WS_PAYLOADS(X)    \
  X(empty)                \
  X(pio_out)              \
  X(pio_in)               \
  X(pio_string)           \
  X(mmio_read)            \
  X(mmio_write)           \
  X(hlt)                  \
  X(cpuid)                \
  X(vmcall)               \
  X(vmmcall)              \
  X(rdmsr)                \
  X(wrmsr)                \
  X(mov_cr0)              \
  X(mov_cr3)              \
  X(mov_cr4)              \
  X(mov_cr8)              \
  X(mov_dr)               \
  X(wbinvd)               \
  X(pause)                \
  X(touch)                \
  X(dirty_ring)           \
  X(triple_fault)         \
  X(irq_window)           \
  X(interrupt)            \
  X(spin)                 \
  X(pio_in_port)          \
  X(pio_out_port)         \
  X(mmio_read_at)         \
  X(tscdeadline)          \
  X(deadline)             \
  X(deadline_halted)      \
  X(hlt_pending)          \
  X(await_irq)            \
  X(await_peer)           \
  X(await_peer_halted)    \
  X(self_ipi)             \
  X(ipi)                  \
  X(peer_spin)            \
  X(peer_halt)            \
  X(eoi)                  \
  X(mov_from_cr8)         \
  X(pio_in_long)          \
  X(mmio_write_value)     \
  X(wrmsr_twice)          \
  X(toggle_cr0)           \
  X(toggle_cr4)           \
  X(await_deadline)       \
  X(self_ipi_sti_nop)     \
  X(self_ipi_sti_hlt)     \
  X(self_ipi_tpr)         \
  X(self_ipi_tpr_sti_nop) \
  X(self_ipi_tpr_sti_hlt) \
  X(pass_turn)            \
  X(peer_turn)            \
  X(xsetbv)               \
  X(outs_port)            \
  X(step)                 \
  X(breakpoint)           \
  X(vmcall_map)           \
  X(vmmcall_map)          \
  X(rdtsc)                \
  X(touch_again)          \
  X(preempted)

#endif /* WORLDSWITCH_GUESTS_PAYLOAD_LIST_H_ */
