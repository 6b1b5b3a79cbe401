/* What the clauses' guests and their checks agree on: ports, and places in the
 * guest's memory. Constants only; the assembler reads it too. The rest of the
 * guest's memory is laid out in guests/layout.h. */

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_LAYOUT_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_LAYOUT_H_

#define WS_CLAUSE_PORT_A 0xe8
#define WS_CLAUSE_PORT_B 0xe9
#define WS_CLAUSE_PORT_HANDLER 0xea /* OUT by an interrupt's handler */
#define WS_CLAUSE_PORT_LATE 0xeb    /* the guest waited, and nothing came */
#define WS_CLAUSE_PORT_WIDE 0x1e8   /* needs DX */

#define WS_CLAUSE_WORD 0x1100      /* u32 */
#define WS_CLAUSE_WORD_2 0x1140    /* u32, in a cache line of its own */
#define WS_CLAUSE_REGISTERS 0x1200 /* 16 times u64, in ModRM order */
#define WS_CLAUSE_STRING 0x1300    /* WS_CLAUSE_STRING_BYTES */
#define WS_CLAUSE_STRING_BYTES 16
#define WS_CLAUSE_FILLED 0x1400 /* WS_CLAUSE_FILLED_BYTES */
#define WS_CLAUSE_FILLED_BYTES 256
#define WS_CLAUSE_SEGMENT 0x2000 /* where FS leads to; a u32 each */
#define WS_CLAUSE_SEGMENT_2 0x2100

/* What a register's low half holds when it left the guest: this and its number
 * in ModRM order. */
#define WS_CLAUSE_PATTERN 0x1badb000
#define WS_CLAUSE_PATTERN_HIGH 0x5eed0000 /* the high half, in 64-bit mode */

/* In no list of the SDM or the APM. */
#define WS_CLAUSE_MSR 0x4b5644ff

#endif /* WORLDSWITCH_CONFORMANCE_CLAUSE_LAYOUT_H_ */
