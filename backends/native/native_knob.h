// Knobs of the ring-0 backends: a constant table for each vendor, the same for
// the image that applies them and for the command on the host that lists and
// checks them (`worldswitch knobs`, `--knob name=value`).
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_NATIVE_KNOB_H_
#define WORLDSWITCH_BACKENDS_NATIVE_NATIVE_KNOB_H_

#include <cstddef>
#include <cstdint>

#include "core/host_text.h"

namespace worldswitch {

inline constexpr std::size_t kMaxKnobChoices = 8;

struct NativeKnob {
  const char* name = "";  // "vpid"
  // Choices, the first of them being index 0; all null: an integer.
  const char* choices[kMaxKnobChoices] = {};
  std::uint64_t minimum = 0;  // of an integer
  std::uint64_t maximum = 0;
  std::uint64_t default_value = 0;  // an integer, or the index of a choice
  const char* unit = "";
  HostText meaning = "";     // one line
  HostText applied_by = "";  // the control field and bit, by the manual
};

// The knobs of one vendor, in the order of the enum that names them there.
struct NativeKnobTable {
  const NativeKnob* knobs = nullptr;
  std::size_t size = 0;
};

enum class KnobParse : std::uint8_t { kOk, kNoSuchKnob, kBadValue };

inline constexpr std::size_t kMaxNativeKnobs = 32;

// The values of one VM's knobs: by index into its vendor's table.
class NativeKnobValues {
 public:
  explicit NativeKnobValues(const NativeKnobTable& table);

  // "name=value", of `length` bytes.
  KnobParse Set(const char* text, std::size_t length);
  std::uint64_t value(std::size_t index) const { return values_[index]; }
  void set_value(std::size_t index, std::uint64_t value) {
    values_[index] = value;
  }
  const NativeKnobTable& table() const { return table_; }

 private:
  NativeKnobTable table_;
  std::uint64_t values_[kMaxNativeKnobs] = {};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_NATIVE_KNOB_H_
