// The error numbers that ring 0 answers with, as Linux has them: there is no
// <cerrno> to rely on.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_ERROR_NUMBER_H_
#define WORLDSWITCH_BACKENDS_NATIVE_ERROR_NUMBER_H_

namespace worldswitch {

inline constexpr int kErrnoInterrupted = 4;  // EINTR
inline constexpr int kErrnoNoMemory = 12;    // ENOMEM
inline constexpr int kErrnoBusy = 16;        // EBUSY
inline constexpr int kErrnoInvalid = 22;     // EINVAL

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_ERROR_NUMBER_H_
