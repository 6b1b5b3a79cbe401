#include "native/random_code.h"

namespace worldswitch::native {
namespace {

constexpr std::size_t kMostBytes = 10;

struct Instruction {
  std::uint8_t size;
  std::uint8_t bytes[kMostBytes];
};

// In 64-bit mode; in real mode some of them are others, which is as good.
constexpr Instruction kInstructions[] = {
    {2, {0x0f, 0xa2}},                    // CPUID
    {1, {0xf4}},                          // HLT
    {2, {0x0f, 0x32}},                    // RDMSR
    {2, {0x0f, 0x30}},                    // WRMSR
    {2, {0x0f, 0x31}},                    // RDTSC
    {3, {0x0f, 0x01, 0xf9}},              // RDTSCP
    {2, {0x0f, 0x33}},                    // RDPMC
    {2, {0xf3, 0x90}},                    // PAUSE
    {2, {0x0f, 0x08}},                    // INVD
    {2, {0x0f, 0x09}},                    // WBINVD
    {3, {0x0f, 0x01, 0xd1}},              // XSETBV
    {3, {0x0f, 0x01, 0xd0}},              // XGETBV
    {3, {0x0f, 0x01, 0xc8}},              // MONITOR
    {3, {0x0f, 0x01, 0xc9}},              // MWAIT
    {3, {0x0f, 0x01, 0xc1}},              // VMCALL
    {3, {0x0f, 0x01, 0xc2}},              // VMLAUNCH
    {3, {0x0f, 0x01, 0xc3}},              // VMRESUME
    {3, {0x0f, 0x01, 0xc4}},              // VMXOFF
    {3, {0x0f, 0x01, 0xd4}},              // VMFUNC
    {3, {0x0f, 0x01, 0xd8}},              // VMRUN
    {3, {0x0f, 0x01, 0xd9}},              // VMMCALL
    {3, {0x0f, 0x01, 0xda}},              // VMLOAD
    {3, {0x0f, 0x01, 0xdb}},              // VMSAVE
    {3, {0x0f, 0x01, 0xdc}},              // STGI
    {3, {0x0f, 0x01, 0xdd}},              // CLGI
    {3, {0x0f, 0x01, 0xdf}},              // INVLPGA
    {3, {0x0f, 0x01, 0xf8}},              // SWAPGS
    {3, {0x0f, 0xc7, 0x37}},              // VMPTRLD (rDI)
    {4, {0xf3, 0x0f, 0xc7, 0x37}},        // VMXON (rDI)
    {3, {0x0f, 0x78, 0xd8}},              // VMREAD rBX, rAX
    {3, {0x0f, 0x79, 0xd8}},              // VMWRITE rAX, rBX
    {5, {0x66, 0x0f, 0x38, 0x80, 0x07}},  // INVEPT
    {5, {0x66, 0x0f, 0x38, 0x82, 0x07}},  // INVPCID
    {3, {0x0f, 0x22, 0xc0}},              // MOV CR0, rAX
    {3, {0x0f, 0x22, 0xd0}},              // MOV CR2, rAX
    {3, {0x0f, 0x22, 0xd8}},              // MOV CR3, rAX
    {3, {0x0f, 0x22, 0xe0}},              // MOV CR4, rAX
    {4, {0x44, 0x0f, 0x22, 0xc0}},        // MOV CR8, rAX
    {3, {0x0f, 0x20, 0xc3}},              // MOV rBX, CR0
    {3, {0x0f, 0x20, 0xdb}},              // MOV rBX, CR3
    {3, {0x0f, 0x20, 0xe3}},              // MOV rBX, CR4
    {3, {0x0f, 0x23, 0xc0}},              // MOV DR0, rAX
    {3, {0x0f, 0x23, 0xf8}},              // MOV DR7, rAX
    {3, {0x0f, 0x21, 0xf3}},              // MOV rBX, DR6
    {3, {0x0f, 0x01, 0xf0}},              // LMSW AX
    {2, {0x0f, 0x06}},                    // CLTS
    {3, {0x0f, 0x01, 0x17}},              // LGDT (rDI)
    {3, {0x0f, 0x01, 0x1f}},              // LIDT (rDI)
    {3, {0x0f, 0x01, 0x0f}},              // SIDT (rDI)
    {3, {0x0f, 0x00, 0xd8}},              // LTR AX
    {3, {0x0f, 0x00, 0xd0}},              // LLDT AX
    {3, {0x0f, 0x01, 0x3f}},              // INVLPG (rDI)
    {2, {0x8e, 0xd0}},                    // MOV SS, AX
    {2, {0x8e, 0xd8}},                    // MOV DS, AX
    {1, {0xfa}},                          // CLI
    {1, {0xfb}},                          // STI
    {1, {0x9c}},                          // PUSHF
    {1, {0x9d}},                          // POPF
    {1, {0xcf}},                          // IRET
    {2, {0x48, 0xcf}},                    // IRETQ
    {1, {0xcc}},                          // INT3
    {1, {0xf1}},                          // INT1
    {2, {0xcd, 0x40}},                    // INT 0x40
    {2, {0x0f, 0x0b}},                    // UD2
    {2, {0x0f, 0x05}},                    // SYSCALL
    {2, {0x0f, 0x34}},                    // SYSENTER
    {2, {0x0f, 0xaa}},                    // RSM
    {1, {0xee}},                          // OUT DX, AL
    {1, {0xed}},                          // IN eAX, DX
    {2, {0xe4, 0xe0}},                    // IN AL, 0xe0
    {3, {0xf3, 0x6e, 0x90}},              // REP OUTSB
    {2, {0xf3, 0x6d}},                    // REP INSD
    {2, {0xf3, 0xaa}},                    // REP STOSB
    {2, {0xf3, 0xa4}},                    // REP MOVSB
    {2, {0x8b, 0x07}},                    // MOV eAX, (rDI)
    {2, {0x89, 0x07}},                    // MOV (rDI), eAX
    {2, {0x86, 0x07}},                    // XCHG AL, (rDI)
    {3, {0xf0, 0x01, 0x07}},              // LOCK ADD (rDI), eAX
    {5, {0xbf, 0x00, 0x00, 0x0d, 0x00}},  // MOV eDI, WS_MMIO_HOLE
    {5, {0xb9, 0x80, 0x00, 0x00, 0xc0}},  // MOV eCX, IA32_EFER
    {5, {0xb9, 0x1b, 0x00, 0x00, 0x00}},  // MOV eCX, IA32_APIC_BASE
    {5, {0xb9, 0x00, 0x08, 0x00, 0x00}},  // MOV eCX, x2APIC's first
    {5, {0xb8, 0x31, 0x00, 0x01, 0x80}},  // MOV eAX, a CR0
    {5, {0xb8, 0x20, 0x00, 0x00, 0x00}},  // MOV eAX, a CR4
    {2, {0x31, 0xc0}},                    // XOR eAX, eAX
    {2, {0x89, 0xc2}},                    // MOV eDX, eAX
    {2, {0xeb, 0xf0}},                    // JMP back
    {2, {0xe2, 0xf0}},                    // LOOP back
};
constexpr std::size_t kInstructionCount =
    sizeof(kInstructions) / sizeof(kInstructions[0]);

void FillRandom(RandomNumbers& random, std::uint8_t* code, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    code[i] = static_cast<std::uint8_t>(random.Next());
  }
}

}  // namespace

void MakeRandomCode(RandomNumbers& random, std::uint8_t* code,
                    std::size_t size) {
  FillRandom(random, code, size);
  if (random.OneIn(2)) return;
  // How many random bytes stand between two instructions at most.
  const std::uint64_t gap = random.Below(3);
  std::size_t at = 0;
  for (;;) {
    at += random.Below(gap + 1);
    const Instruction& next = kInstructions[random.Below(kInstructionCount)];
    if (at + next.size > size) return;
    __builtin_memcpy(code + at, next.bytes, next.size);
    at += next.size;
  }
}

}  // namespace worldswitch::native
