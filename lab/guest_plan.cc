#include "lab/guest_plan.h"

#include <cstddef>

namespace worldswitch {
namespace {

// Records of two strings, key and value, each ended by a NUL.
void Put(std::string* text, const char* key, const std::string& value) {
  text->append(key).push_back('\0');
  text->append(value).push_back('\0');
}

// Takes one string off the front. False: there is no whole one left.
bool Take(const std::string& text, std::size_t* position, std::string* value) {
  const std::size_t end = text.find('\0', *position);
  if (end == std::string::npos) return false;
  *value = text.substr(*position, end - *position);
  *position = end + 1;
  return true;
}

}  // namespace

std::string GuestPlanText(const GuestPlan& plan) {
  std::string text;
  for (const GuestModule& module : plan.modules) {
    Put(&text, "module", module.path);
    Put(&text, "parameters", module.parameters);
  }
  Put(&text, "directory", plan.directory);
  Put(&text, "program", plan.program);
  for (const std::string& value : plan.arguments) Put(&text, "argument", value);
  for (const std::string& value : plan.environment) {
    Put(&text, "environment", value);
  }
  for (const std::string& value : plan.files) Put(&text, "file", value);
  return text;
}

std::optional<GuestPlan> ParseGuestPlan(const std::string& text) {
  GuestPlan plan;
  std::size_t position = 0;
  std::string key;
  std::string value;
  while (position < text.size()) {
    if (!Take(text, &position, &key) || !Take(text, &position, &value)) {
      return std::nullopt;
    }
    if (key == "module") {
      plan.modules.push_back({value, ""});
    } else if (key == "parameters" && !plan.modules.empty()) {
      plan.modules.back().parameters = value;
    } else if (key == "directory") {
      plan.directory = value;
    } else if (key == "program") {
      plan.program = value;
    } else if (key == "argument") {
      plan.arguments.push_back(value);
    } else if (key == "environment") {
      plan.environment.push_back(value);
    } else if (key == "file") {
      plan.files.push_back(value);
    } else {
      return std::nullopt;
    }
  }
  if (plan.program.empty()) return std::nullopt;
  return plan;
}

}  // namespace worldswitch
