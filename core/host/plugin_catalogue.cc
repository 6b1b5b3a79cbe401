#include "core/host/plugin_catalogue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/plugin_backend.h"
#include "core/host/plugin_library.h"

namespace worldswitch {
namespace {

// Ok unless a backend that the program is built with has the name.
absl::Status CheckNotBuiltIn(const FoundPlugin& plugin,
                             const BackendRegistry& asker) {
  for (const BackendFactory& factory : asker.factories()) {
    if (factory.name != plugin.name) continue;
    return absl::AlreadyExistsError(absl::StrCat(
        plugin.path, " names itself \"", plugin.name,
        "\", which is a backend that this program is built with; the plugin "
        "needs a name of its own"));
  }
  return absl::OkStatus();
}

BackendFactory FactoryOf(const std::string& path, PluginInspection inspection,
                         const BackendRegistry& asker) {
  PluginDescription& description = inspection.description;
  BackendFactory factory;
  factory.name = std::move(description.name);
  factory.summary = std::move(description.summary);
  factory.parameters = std::move(description.parameters);
  factory.is_machine = description.is_machine;
  factory.probe = [probed = inspection.probed] { return probed; };
  factory.create =
      [path, &asker](
          const BackendSpec& spec) -> absl::StatusOr<std::unique_ptr<Backend>> {
    absl::StatusOr<const PluginTable*> table = LoadPlugin(path);
    if (!table.ok()) return table.status();
    return OpenPluginBackend(**table, spec, asker);
  };
  factory.origin = path;
  return factory;
}

}  // namespace

const std::vector<FoundPlugin>& PluginCatalogue::found() {
  if (!found_) found_ = FindPlugins(options_.places, options_.is_root);
  return *found_;
}

std::vector<BackendListing> PluginCatalogue::List(
    const BackendRegistry& asker) {
  std::vector<BackendListing> all;
  for (const FoundPlugin& plugin : found()) {
    BackendListing listing = {
        .name = plugin.name, .origin = plugin.path, .status = plugin.status};
    if (listing.status.ok()) listing.status = CheckNotBuiltIn(plugin, asker);
    for (const FoundPlugin& other : found()) {
      if (!listing.status.ok() || &other == &plugin ||
          other.name != plugin.name) {
        continue;
      }
      listing.status = absl::AlreadyExistsError(absl::StrCat(
          "two plugins name themselves \"", plugin.name, "\": ", plugin.path,
          " and ", other.path, "; remove one, or give --backend the path"));
    }
    all.push_back(std::move(listing));
  }
  return all;
}

absl::StatusOr<const BackendFactory*> PluginCatalogue::Find(
    const std::string& name, const BackendRegistry& asker) {
  if (name.find('/') != std::string::npos) {
    const FoundPlugin plugin = LookAtPlugin(name, options_.is_root);
    if (!plugin.status.ok()) return plugin.status;
    absl::Status checked = CheckNotBuiltIn(plugin, asker);
    if (!checked.ok()) return checked;
    return Inspect(plugin.path, asker);
  }
  for (const BackendListing& listing : List(asker)) {
    if (listing.name != name) continue;
    if (!listing.status.ok()) return listing.status;
    return Inspect(listing.origin, asker);
  }
  return absl::NotFoundError(absl::StrCat("no plugin \"", name, "\""));
}

absl::StatusOr<const BackendFactory*> PluginCatalogue::Inspect(
    const std::string& path, const BackendRegistry& asker) {
  auto known = inspected_.find(path);
  if (known == inspected_.end()) {
    absl::StatusOr<PluginInspection> inspection =
        InspectPlugin(path, options_.probe_limit);
    known =
        inspection.ok()
            ? inspected_
                  .emplace(path, FactoryOf(path, *std::move(inspection), asker))
                  .first
            : inspected_.emplace(path, inspection.status()).first;
  }
  if (!known->second.ok()) return known->second.status();
  return &*known->second;
}

}  // namespace worldswitch
