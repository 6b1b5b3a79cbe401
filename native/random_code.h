// Code for guests that do anything at all. Freestanding.

#ifndef WORLDSWITCH_NATIVE_RANDOM_CODE_H_
#define WORLDSWITCH_NATIVE_RANDOM_CODE_H_

#include <cstddef>
#include <cstdint>

#include "native/random_numbers.h"

namespace worldswitch::native {

// Fills code: with random bytes; or with instructions that a hypervisor has to
// look at, in any order, with random bytes in between.
void MakeRandomCode(RandomNumbers& random, std::uint8_t* code,
                    std::size_t size);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_RANDOM_CODE_H_
