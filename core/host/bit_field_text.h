// Fields of a word in words, for people and for result files.

#ifndef WORLDSWITCH_CORE_HOST_BIT_FIELD_TEXT_H_
#define WORLDSWITCH_CORE_HOST_BIT_FIELD_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/bit_field.h"
#include "core/host/backend.h"

namespace worldswitch {

// The value of one field: "yes" or "no" of a flag, "7", "0x3f8", "MOV to CR";
// "reserved value 9" of a choice that the manual does not name.
std::string BitFieldValue(const BitField& field, std::uint64_t word);

// "access size 1 byte, direction OUT, port 0x3f8". Flags show only where they
// are set, fields that do not apply never, bits that nothing defines as
// "undefined bits 0x40". "" where there is nothing to say.
std::string DescribeBitFields(BitFields fields, std::uint64_t word);

// Every field that applies with its value, flags that are clear included.
std::vector<Fact> BitFieldFacts(BitFields fields, std::uint64_t word);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_BIT_FIELD_TEXT_H_
