// The plugins of a program: a BackendSource over the places where they are.
//
//   registry.SetSource(std::make_unique<PluginCatalogue>());
//   registry.Open("recorder:backend=kvm,file=run.wsr");
//   registry.Open("/path/to/plugin.so");
//
// Nothing of a plugin runs before somebody asks for it by its name or its path,
// or for all of them; then it is tried in a child process first, and loaded
// when a backend of it is opened.

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_CATALOGUE_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_CATALOGUE_H_

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/host/backend.h"
#include "core/host/plugin_search.h"
#include "core/host/plugin_trust.h"

namespace worldswitch {

// One thread at a time.
class PluginCatalogue final : public BackendSource {
 public:
  struct Options {
    std::vector<PluginPlace> places = DefaultPluginPlaces();
    // Host time, for loading and probing in the child process.
    std::chrono::milliseconds probe_limit = std::chrono::seconds(10);
    bool is_root = RunsAsRoot();
  };
  PluginCatalogue() : PluginCatalogue(Options()) {}
  explicit PluginCatalogue(Options options) : options_(std::move(options)) {}

  std::vector<BackendListing> List(const BackendRegistry& asker) override;
  absl::StatusOr<const BackendFactory*> Find(
      const std::string& name, const BackendRegistry& asker) override;

 private:
  const std::vector<FoundPlugin>& found();
  // Tries it in a child process, the first time.
  absl::StatusOr<const BackendFactory*> Inspect(const std::string& path,
                                                const BackendRegistry& asker);

  const Options options_;
  std::optional<std::vector<FoundPlugin>> found_;
  std::map<std::string, absl::StatusOr<BackendFactory>> inspected_;  // by path
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_CATALOGUE_H_
