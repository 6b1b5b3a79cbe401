#include "core/host/backend.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/host/lab_environment.h"
#include "core/host/suggest.h"

namespace worldswitch {
namespace {

constexpr char kAuto[] = "auto";

absl::Status Prefixed(const std::string& backend, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("backend \"", backend,
                                                  "\": ", status.message()));
}

// Ok if the factory knows every key of the spec.
absl::Status CheckParameters(const BackendFactory& factory,
                             const BackendSpec& spec) {
  std::vector<std::string> known;
  for (const Fact& parameter : factory.parameters) {
    known.push_back(parameter.name);
  }
  for (const auto& [key, value] : spec.parameters) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("backend \"", factory.name, "\" has no parameter \"", key,
                     "\"", KnownNames(key, known)));
  }
  return absl::OkStatus();
}

absl::StatusOr<BackendRegistry::Opened> OpenNamed(
    const std::vector<BackendFactory>& factories, const BackendSpec& spec) {
  const auto factory = std::find_if(
      factories.begin(), factories.end(),
      [&spec](const BackendFactory& each) { return each.name == spec.name; });
  if (factory == factories.end()) {
    std::vector<std::string> known = {kAuto};
    for (const BackendFactory& each : factories) known.push_back(each.name);
    return absl::NotFoundError(absl::StrCat("no backend \"", spec.name, "\"",
                                            KnownNames(spec.name, known)));
  }
  if (absl::Status checked = CheckParameters(*factory, spec); !checked.ok()) {
    return checked;
  }
  absl::StatusOr<std::unique_ptr<Backend>> made = factory->create(spec);
  if (!made.ok()) return Prefixed(spec.name, made.status());
  return BackendRegistry::Opened{.backend = *std::move(made), .skipped = {}};
}

absl::StatusOr<BackendRegistry::Opened> OpenAuto(
    const std::vector<BackendFactory>& factories) {
  BackendRegistry::Opened opened;
  for (const BackendFactory& factory : factories) {
    if (!factory.is_machine) continue;
    absl::Status why = factory.probe ? factory.probe() : absl::OkStatus();
    if (why.ok()) {
      absl::StatusOr<std::unique_ptr<Backend>> made =
          factory.create(BackendSpec{.name = factory.name, .parameters = {}});
      if (made.ok()) {
        opened.backend = *std::move(made);
        return opened;
      }
      why = made.status();
    }
    opened.skipped.push_back({.name = factory.name, .why = why});
  }
  std::string message = "no usable backend";
  if (opened.skipped.empty()) {
    absl::StrAppend(&message, ": this program has none that is a machine");
  }
  for (const BackendRegistry::Skipped& skipped : opened.skipped) {
    absl::StrAppend(&message, "\n  ", skipped.name, ": ",
                    skipped.why.message());
  }
  return absl::NotFoundError(message);
}

}  // namespace

std::string Backend::unit() const { return HostUnit(); }

absl::StatusOr<BackendSpec> ParseBackendSpec(const std::string& text) {
  BackendSpec spec;
  const std::size_t colon = text.find(':');
  spec.name = text.substr(0, colon);
  if (spec.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" names no backend; write name or name:key=value,..."));
  }
  if (colon == std::string::npos) return spec;
  KnobSettings seen;  // for its refusals; the spec keeps the order
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text).substr(colon + 1), ',')) {
    if (absl::Status parsed = ParseKnobSetting(part, &seen); !parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("in backend \"", text, "\": ", parsed.message()));
    }
    const std::size_t equals = part.find('=');
    spec.parameters.emplace_back(
        absl::StripAsciiWhitespace(part.substr(0, equals)),
        absl::StripAsciiWhitespace(part.substr(equals + 1)));
  }
  return spec;
}

absl::Status BackendRegistry::Add(BackendFactory factory) {
  if (factory.name.empty() || factory.name == kAuto || !factory.create) {
    return absl::InvalidArgumentError(
        absl::StrCat("a backend needs a name other than \"", kAuto,
                     "\" and a create function; got \"", factory.name, "\""));
  }
  for (const BackendFactory& other : factories_) {
    if (other.name == factory.name) {
      return absl::AlreadyExistsError(absl::StrCat(
          "there is a backend \"", factory.name, "\" (", other.summary,
          ") already; the second one (", factory.summary, ") is refused"));
    }
  }
  factories_.push_back(std::move(factory));
  return absl::OkStatus();
}

absl::StatusOr<BackendRegistry::Opened> BackendRegistry::Open(
    const std::string& text) const {
  absl::StatusOr<BackendSpec> spec = ParseBackendSpec(text);
  if (!spec.ok()) return spec.status();
  if (spec->name != kAuto) return OpenNamed(factories_, *spec);
  if (!spec->parameters.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", kAuto, "\" takes no parameters; name a backend to give it some"));
  }
  return OpenAuto(factories_);
}

}  // namespace worldswitch
