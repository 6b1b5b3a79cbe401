#include "cli/knob_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/host/wrap.h"

namespace worldswitch {
namespace {

constexpr std::size_t kIndent = 4;

const char* ScopeHeading(KnobScope scope) {
  switch (scope) {
    case KnobScope::kHost:
      return "The whole host (put back when the run ends, whichever way):";
    case KnobScope::kVm:
      return "Each VM:";
    case KnobScope::kVcpu:
      return "Each vCPU:";
  }
  return "";
}

std::string KnobLines(const Knob& knob) {
  const std::string unit =
      knob.unit.empty() ? "" : absl::StrCat(" ", knob.unit);
  std::string text = Wrap(
      absl::StrFormat("  %-30s %s%s  (%s: %s%s)", knob.name, knob.current_value,
                      unit, KnobTypeName(knob.type), KnobRange(knob), unit),
      kIndent);
  absl::StrAppend(&text, Wrap(absl::StrFormat("%*s%s; by %s", kIndent, "",
                                              knob.meaning, knob.applied_by),
                              kIndent));
  if (!knob.not_settable.empty()) {
    absl::StrAppend(&text, Wrap(absl::StrFormat("%*snot settable: %s", kIndent,
                                                "", knob.not_settable),
                                kIndent));
  }
  return text;
}

}  // namespace

nlohmann::ordered_json KnobsJson(const KnobSet& knobs) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Knob& knob : knobs.all()) {
    all.push_back({{"name", knob.name},
                   {"scope", KnobScopeName(knob.scope)},
                   {"type", KnobTypeName(knob.type)},
                   {"range", KnobRange(knob)},
                   {"unit", knob.unit},
                   {"meaning", knob.meaning},
                   {"value", knob.current_value},
                   {"default", knob.default_value},
                   {"applied_by", knob.applied_by},
                   {"settable", knob.not_settable.empty()},
                   {"not_settable", knob.not_settable}});
  }
  return all;
}

std::string KnobsText(const KnobSet& knobs) {
  std::string text;
  for (const KnobScope scope :
       {KnobScope::kVm, KnobScope::kVcpu, KnobScope::kHost}) {
    std::string group;
    for (const Knob& knob : knobs.all()) {
      if (knob.scope == scope) absl::StrAppend(&group, KnobLines(knob));
    }
    if (group.empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : "\n", ScopeHeading(scope), "\n",
                    group);
  }
  return text;
}

}  // namespace worldswitch
