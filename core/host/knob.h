// The vocabulary of tuning: what can be turned, where, within what range, and
// how it is applied. Knobs hang on backends, VMs and vCPUs; the ops stay free
// of them.

#ifndef WORLDSWITCH_CORE_HOST_KNOB_H_
#define WORLDSWITCH_CORE_HOST_KNOB_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

enum class KnobScope : std::uint8_t { kHost, kVm, kVcpu };
// kFlags: any of the choices, joined by +; "none" for none of them.
enum class KnobType : std::uint8_t { kBool, kInteger, kChoice, kFlags };

struct Knob {
  std::string name;  // for example "registers"
  KnobScope scope = KnobScope::kVm;
  KnobType type = KnobType::kBool;
  std::int64_t minimum = 0;          // kInteger
  std::int64_t maximum = 1;          // kInteger
  std::vector<std::string> choices;  // kChoice, kFlags
  std::string unit;                  // "" where it has none
  std::string meaning;               // one line
  std::string default_value;         // what holds if nobody sets it
  std::string current_value;         // host scope: read now; else the default
  std::string applied_by;            // "KVM_CAP_SYNC_REGS", "module parameter"
  std::string file;                  // kHost: the file that holds it
  // Empty: settable here. Otherwise why not.
  std::string not_settable;
};

const char* KnobScopeName(KnobScope scope);
const char* KnobTypeName(KnobType type);
// "0 to 255", "on, off", "ioctl, sync".
std::string KnobRange(const Knob& knob);

// name -> value, as a user gave them.
using KnobSettings = std::map<std::string, std::string>;

// The knobs of one backend.
class KnobSet {
 public:
  KnobSet() = default;
  explicit KnobSet(std::vector<Knob> knobs) : knobs_(std::move(knobs)) {}

  const std::vector<Knob>& all() const { return knobs_; }
  // Null where there is none of that name.
  const Knob* Find(absl::string_view name) const;
  // Ok if every setting names a knob that is settable and every value is in
  // range. Otherwise the first trouble, naming what would be right.
  absl::Status Check(const KnobSettings& settings) const;
  // The setting of a knob, else its default. The knob must exist.
  std::string ValueOf(absl::string_view name,
                      const KnobSettings& settings) const;

 private:
  std::vector<Knob> knobs_;
};

// "key=value" into `settings`; refuses a missing '=', an empty key, and a key
// that is there already.
absl::Status ParseKnobSetting(absl::string_view text, KnobSettings* settings);

// Values as the checks accept them: on/off, true/false, yes/no, 1/0.
absl::StatusOr<bool> ParseKnobBool(absl::string_view value);
// Decimal, or hexadecimal behind 0x. (Of host scope only decimal is accepted:
// the file is compared with what was written to it.)
absl::StatusOr<std::int64_t> ParseKnobInteger(absl::string_view value);
// "hlt+pause" into its parts; "none" and "" into no part.
std::vector<std::string> ParseKnobFlags(absl::string_view value);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_KNOB_H_
