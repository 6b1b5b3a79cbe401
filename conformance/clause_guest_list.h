/* The clauses' guests, once, for the assembler and for C++. X(name): see
 * clause_guests.S for what each one does. */

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_GUEST_LIST_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_GUEST_LIST_H_

#define WS_CLAUSE_GUESTS(X) \
  X(count)                  \
  X(port_sizes)             \
  X(mmio_sizes)             \
  X(halt)                   \
  X(fault)                  \
  X(echo_io)                \
  X(echo_mmio)              \
  X(echo_msr)               \
  X(ledger)                 \
  X(store_registers)        \
  X(load_registers)         \
  X(echo_registers)         \
  X(interruptible)          \
  X(exception)              \
  X(window_opens)           \
  X(window_is_open)         \
  X(spin)                   \
  X(echo_memory)            \
  X(rendezvous)

#endif /* WORLDSWITCH_CONFORMANCE_CLAUSE_GUEST_LIST_H_ */
