/* Where GeneralRegisters (core/registers.h) has its members, for svm_switch.S;
 * svm_switch.h checks them. */

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_LAYOUT_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_LAYOUT_H_

#define WS_SVM_RBX 8
#define WS_SVM_RCX 16
#define WS_SVM_RDX 24
#define WS_SVM_RSI 32
#define WS_SVM_RDI 40
#define WS_SVM_RBP 56
#define WS_SVM_R8 64
#define WS_SVM_R9 72
#define WS_SVM_R10 80
#define WS_SVM_R11 88
#define WS_SVM_R12 96
#define WS_SVM_R13 104
#define WS_SVM_R14 112
#define WS_SVM_R15 120

/* And SvmFrame (svm_frame.h) the physical address of the VMCB. */
#define WS_SVM_VMCB_PA 0x1B0

#endif /* WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_LAYOUT_H_ */
