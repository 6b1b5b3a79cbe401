/* Where everything lies in the guest's memory. Shared by the payloads (.S) and
 * by the code that loads them, so it holds constants only, and all of it lies
 * below 1 MiB so that real mode reaches it. */

#ifndef WORLDSWITCH_GUESTS_LAYOUT_H_
#define WORLDSWITCH_GUESTS_LAYOUT_H_

/* The mailbox: parameters in, results out. */
#define WS_MAILBOX 0x1000
#define WS_MAILBOX_COMMAND 0x1000 /* u32, one of WS_COMMAND_* */
#define WS_MAILBOX_COUNT 0x1004   /* u32, iterations of the next block */
#define WS_MAILBOX_ARG0 0x1008    /* u64, meaning depends on the payload */
#define WS_MAILBOX_ARG1 0x1010    /* u64 */
#define WS_MAILBOX_START 0x1018   /* u64, TSC before a batch */
#define WS_MAILBOX_END 0x1020     /* u64, TSC after a batch */
#define WS_MAILBOX_VECTOR 0x1028  /* u32, exception the guest took */
#define WS_MAILBOX_FRAME 0x1030   /* u64, stack pointer in its handler */
#define WS_MAILBOX_FLAG 0x1038    /* u32, the host raises it, the guest waits */
#define WS_MAILBOX_SAMPLE 0x1060  /* u32, where WS_APIC_VECTOR stamps */
#define WS_MAILBOX_DELIVERED 0x1064 /* u32, how often that handler ran */
#define WS_MAILBOX_READY 0x1068     /* u32, the guest raises it for a peer */
#define WS_MAILBOX_STRING 0x1080    /* bytes for OUTS and INS */

#define WS_COMMAND_SAMPLE 0         /* stamp every iteration */
#define WS_COMMAND_SAMPLE_CONTROL 1 /* the same without the instruction */
#define WS_COMMAND_BATCH 2          /* stamp the block only */
#define WS_COMMAND_BATCH_CONTROL 3  /* the same without the instruction */

/* Samples: pairs of u64 (TSC before, TSC after), one page. */
#define WS_SAMPLES 0x2000
#define WS_SAMPLE_BYTES 16
#define WS_MAX_BLOCK 256

#define WS_GDT 0x3000
#define WS_CODE 0x4000 /* all payloads, then the caller's own code */
#define WS_CODE_LIMIT 0x10000
#define WS_KERNEL_STACK_TOP 0x11000
#define WS_STACK_TOP 0x12000
#define WS_IDT 0x12000
#define WS_TSS 0x13000 /* 104 bytes, then the I/O bitmap of 8193 bytes */
#define WS_PML4 0x20000
#define WS_PDPT 0x21000
#define WS_PAGE_DIRECTORY 0x22000 /* identity map of 1 GiB, 2 MiB pages */
#define WS_APIC_DIRECTORY                            \
  0x23000 /* and of the 4th GiB, where the APICs lie \
           */

/* Pages for the payloads that fault them in. */
#define WS_TOUCH 0x40000
#define WS_TOUCH_PAGES 128

/* Registers that a handler keeps for later. */
#define WS_KEPT_REGISTERS 0x1c000

/* A VM for these payloads has this much memory; above it is a hole. */
#define WS_MEMORY_BYTES 0xc0000
#define WS_MMIO_HOLE 0xd0000

/* In the hole, for a memory slot that shows the pages at WS_TOUCH again. */
#define WS_ALIAS 0xe0000
#define WS_ALIAS_PAGES 32

/* For a slot whose written pages go into a dirty ring of WS_RING_ENTRIES. */
#define WS_RING 0x1000000
#define WS_RING_BYTES 0x800000
#define WS_RING_ENTRIES 1024

/* Regions of 2 MiB, in a VM with WS_HUGE_MEMORY_BYTES. */
#define WS_HUGE 0x200000
#define WS_HUGE_STRIDE 0x200000
#define WS_HUGE_REGIONS 16
#define WS_HUGE_MEMORY_BYTES 0x2200000

/* Ports. Nobody inside KVM claims them unless an irqchip or PIT is made. */
#define WS_PORT_TEST 0xe0   /* the exit under test */
#define WS_PORT_DONE 0xe1   /* the block is finished */
#define WS_PORT_ARM 0xe2    /* preparation of a sample, not measured */
#define WS_PORT_FAULT 0xe3  /* the guest took an exception */
#define WS_PORT_STRING 0xe4 /* INS and OUTS */

#define WS_STRING_BYTES 16

/* The instruction that a debugger steps over or stops at: XCHG EBX, EBX. */
#define WS_MARK_BYTE0 0x87
#define WS_MARK_BYTE1 0xdb

/* Vectors whose handler stamps the sample: this interrupt, and NMI. */
#define WS_IRQ_VECTOR 0x40
/* The same through a local APIC: its handler also counts and ends it. */
#define WS_APIC_VECTOR 0x41
/* Its handler leaves the interrupt in service. */
#define WS_HELD_VECTOR 0x42

#endif /* WORLDSWITCH_GUESTS_LAYOUT_H_ */
