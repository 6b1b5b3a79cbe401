// What the lab's host tells its /init to do, as a file in the initramfs.
// Standard C++ only: /init is linked statically from these sources.

#ifndef WORLDSWITCH_LAB_GUEST_PLAN_H_
#define WORLDSWITCH_LAB_GUEST_PLAN_H_

#include <optional>
#include <string>
#include <vector>

namespace worldswitch {

inline constexpr char kGuestPlanPath[] = "/lab/plan";

struct GuestModule {
  std::string path;        // in the initramfs
  std::string parameters;  // "npt=0 nested=1"
};

struct GuestPlan {
  std::vector<GuestModule> modules;  // in the order to load them
  std::string directory;             // to run the command in
  std::string program;               // its path in the initramfs
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"
  // Brought back if the command makes or changes them; absolute paths.
  std::vector<std::string> files;
};

// Of strings without NUL bytes.
std::string GuestPlanText(const GuestPlan& plan);
// Empty where the text is not one that GuestPlanText made.
std::optional<GuestPlan> ParseGuestPlan(const std::string& text);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_GUEST_PLAN_H_
