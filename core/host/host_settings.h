// Settings of the whole host, each a file such as a module's parameter:
// changed for a while, and put back on every way out.
//
// A process of its own keeps the old values, and puts them back when the pipe
// to the one that changed them closes: at the end of the scope, on a return in
// the middle, on a crash and on SIGKILL alike. Only the end of the machine
// comes before it.

#ifndef WORLDSWITCH_CORE_HOST_HOST_SETTINGS_H_
#define WORLDSWITCH_CORE_HOST_HOST_SETTINGS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/host/knob.h"

namespace worldswitch {

struct HostSetting {
  std::string name;   // of the knob
  std::string file;   // that holds it
  std::string value;  // as it is written there
};

// Not thread-safe. One at a time: two that change the same file put back in
// the order in which they end.
class HostSettings {
 public:
  // Writes every value and reads it back. On trouble everything is as it was
  // before, and the status names the setting, the file and the errno, or what
  // the file holds instead.
  static absl::StatusOr<HostSettings> Apply(
      const std::vector<HostSetting>& wanted);

  // Nothing changed, nothing to put back.
  HostSettings() = default;
  HostSettings(HostSettings&& other) noexcept;
  HostSettings& operator=(HostSettings&& other) noexcept;
  HostSettings(const HostSettings&) = delete;
  HostSettings& operator=(const HostSettings&) = delete;
  ~HostSettings();

  // Puts everything back, waits for it, and checks it. A second call does
  // nothing.
  absl::Status Restore();

 private:
  explicit HostSettings(std::vector<HostSetting> old) : old_(std::move(old)) {}
  absl::Status StartKeeper();

  std::vector<HostSetting> old_;  // the values found; empty once put back
  pid_t keeper_ = -1;
  int pipe_ = -1;  // its closing tells the keeper
};

// The settings among `settings` that are of host scope, as their files take
// them. All of them must have passed the set's Check.
std::vector<HostSetting> HostSettingsAmong(const KnobSet& knobs,
                                           const KnobSettings& settings);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_HOST_SETTINGS_H_
