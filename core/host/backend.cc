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
  if (spec->name != kAuto) return OpenNamed(*spec);
  if (!spec->parameters.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", kAuto, "\" takes no parameters; name a backend to give it some"));
  }
  return OpenAuto();
}

absl::StatusOr<BackendRegistry::Opened> BackendRegistry::OpenNamed(
    const BackendSpec& spec) const {
  absl::StatusOr<const BackendFactory*> factory = Find(spec.name);
  if (!factory.ok()) return factory.status();
  if (absl::Status checked = CheckParameters(**factory, spec); !checked.ok()) {
    return checked;
  }
  BackendSpec named = spec;
  named.name = (*factory)->name;  // which may have been asked for by its path
  absl::StatusOr<std::unique_ptr<Backend>> made = (*factory)->create(named);
  if (!made.ok()) return Prefixed(named.name, made.status());
  return Opened{.backend = *std::move(made), .skipped = {}};
}

bool BackendRegistry::TryMachine(const BackendFactory& factory,
                                 Opened* opened) {
  if (!factory.is_machine) return false;
  absl::Status why = factory.probe ? factory.probe() : absl::OkStatus();
  if (why.ok()) {
    absl::StatusOr<std::unique_ptr<Backend>> made =
        factory.create(BackendSpec{.name = factory.name, .parameters = {}});
    if (made.ok()) {
      opened->backend = *std::move(made);
      return true;
    }
    why = made.status();
  }
  opened->skipped.push_back({.name = factory.name, .why = why});
  return false;
}

absl::StatusOr<BackendRegistry::Opened> BackendRegistry::OpenAuto() const {
  Opened opened;
  for (const BackendFactory& factory : factories_) {
    if (TryMachine(factory, &opened)) return opened;
  }
  if (source_ != nullptr) {
    for (const BackendListing& listing : source_->List(*this)) {
      absl::Status why = listing.status;
      if (why.ok()) {
        absl::StatusOr<const BackendFactory*> factory =
            source_->Find(listing.origin, *this);
        why = factory.status();
        if (why.ok() && TryMachine(**factory, &opened)) return opened;
      }
      if (why.ok()) continue;
      opened.skipped.push_back(
          {.name = listing.name.empty() ? listing.origin : listing.name,
           .why = why});
    }
  }
  std::string message = "no usable backend";
  if (opened.skipped.empty()) {
    absl::StrAppend(&message, ": this program has none that is a machine");
  }
  for (const Skipped& skipped : opened.skipped) {
    absl::StrAppend(&message, "\n  ", skipped.name, ": ",
                    skipped.why.message());
  }
  return absl::NotFoundError(message);
}

void BackendRegistry::SetSource(std::unique_ptr<BackendSource> source) {
  source_ = std::move(source);
}

std::vector<BackendListing> BackendRegistry::List() const {
  std::vector<BackendListing> all;
  for (const BackendFactory& factory : factories_) {
    all.push_back({.name = factory.name,
                   .origin = factory.origin,
                   .status = absl::OkStatus()});
  }
  if (source_ != nullptr) {
    for (BackendListing& each : source_->List(*this)) {
      all.push_back(std::move(each));
    }
  }
  return all;
}

absl::StatusOr<const BackendFactory*> BackendRegistry::Find(
    const std::string& name) const {
  for (const BackendFactory& factory : factories_) {
    if (factory.name == name) return &factory;
  }
  const bool is_path = name.find('/') != std::string::npos;
  if (source_ != nullptr) {
    absl::StatusOr<const BackendFactory*> found = source_->Find(name, *this);
    if (found.ok() || is_path || !absl::IsNotFound(found.status())) {
      return found;
    }
  }
  std::vector<std::string> known = {kAuto};
  std::string refused;
  for (const BackendListing& listing : List()) {
    if (listing.status.ok()) {
      known.push_back(listing.name);
    } else {
      absl::StrAppend(&refused, "\n  refused: ", listing.status.message());
    }
  }
  return absl::NotFoundError(absl::StrCat("no backend \"", name, "\"",
                                          KnownNames(name, known), refused));
}

}  // namespace worldswitch
