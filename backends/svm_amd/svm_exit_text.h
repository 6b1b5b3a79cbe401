// SVM exits in words, by the APM's names.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_TEXT_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_TEXT_H_

#include <cstdint>
#include <string>

#include "backends/kvm/hardware_exit.h"

namespace worldswitch {

// "VMEXIT_IOIO, access to a port (EXITCODE 0x7b); EXITINFO1 0xe00210: direction
// OUT, 1 byte, ..." with whatever else is told: EXITINFO2, EXITINTINFO, guest-
// physical address.
std::string DescribeSvmExit(const HardwareExit& exit);

// Of EXITINTINFO or EVENTINJ, all 64 bits: "vector 14, type exception, error
// code valid, error code 0x2"; "" if not valid.
std::string DescribeSvmInterruption(std::uint64_t information);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_TEXT_H_
