#include "core/host/plugin_search.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/host/errno_status.h"
#include "core/host/plugin_note.h"
#include "core/host/plugin_trust.h"

#ifndef WORLDSWITCH_PREFIX
#define WORLDSWITCH_PREFIX "/usr/local"
#endif

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

// Without symbolic links, "." and "..".
absl::StatusOr<std::string> RealPath(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (!error) return real.string();
  return ErrnoStatus(error.value(), absl::StrCat("looking for ", path),
                     "give the path of a plugin that is there");
}

// The files of a folder that may be plugins, in the order of their names.
absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    if (each->path().extension() == ".so") files.push_back(each->path());
  }
  if (error) {
    return ErrnoStatus(error.value(), absl::StrCat("reading ", folder));
  }
  std::sort(files.begin(), files.end());
  return files;
}

FoundPlugin Refused(const std::string& path, absl::Status why) {
  return {.path = path, .name = "", .status = std::move(why)};
}

class Finder {
 public:
  explicit Finder(bool is_root) : is_root_(is_root) {}

  void Look(const PluginPlace& place) {
    if (place.path.empty() || place.path.front() != '/') {
      found_.push_back(Refused(
          place.path,
          absl::InvalidArgumentError(absl::StrCat(
              kBackendPathVariable, " has the entry \"", place.path,
              "\": an entry is an absolute path, for nothing is taken from the "
              "working directory"))));
      return;
    }
    absl::StatusOr<std::string> real = RealPath(place.path);
    if (!real.ok()) {
      if (place.is_optional && absl::IsNotFound(real.status())) return;
      found_.push_back(Refused(place.path, real.status()));
      return;
    }
    std::error_code ignored;
    if (!fs::is_directory(*real, ignored)) {
      Add(place.path);
      return;
    }
    if (!seen_.insert(*real).second) return;
    if (absl::Status trust = CheckPluginTrust(*real, is_root_); !trust.ok()) {
      found_.push_back(Refused(place.path, trust));
      return;
    }
    absl::StatusOr<std::vector<std::string>> files = FilesOf(*real);
    if (!files.ok()) {
      found_.push_back(Refused(place.path, files.status()));
      return;
    }
    for (const std::string& file : *files) Add(file);
  }

  std::vector<FoundPlugin> Take() { return std::move(found_); }

 private:
  void Add(const std::string& file) {
    FoundPlugin plugin = LookAtPlugin(file, is_root_);
    if (seen_.insert(plugin.path).second) found_.push_back(std::move(plugin));
  }

  const bool is_root_;
  std::set<std::string> seen_;
  std::vector<FoundPlugin> found_;
};

}  // namespace

std::vector<PluginPlace> PlacesOfVariable(const std::string& value) {
  std::vector<PluginPlace> places;
  if (value.empty()) return places;
  for (const absl::string_view entry : absl::StrSplit(value, ':')) {
    places.push_back({.path = std::string(entry), .is_optional = false});
  }
  return places;
}

std::vector<PluginPlace> DefaultPluginPlaces() {
  std::vector<PluginPlace> places;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    places.push_back(
        {.path =
             (program.parent_path().parent_path() / kBackendFolder).string(),
         .is_optional = true});
  }
  places.push_back(
      {.path = absl::StrCat(WORLDSWITCH_PREFIX, "/", kBackendFolder),
       .is_optional = true});
  const char* const value = secure_getenv(kBackendPathVariable);
  for (PluginPlace& place : PlacesOfVariable(value == nullptr ? "" : value)) {
    places.push_back(std::move(place));
  }
  return places;
}

FoundPlugin LookAtPlugin(const std::string& path, bool is_root) {
  absl::StatusOr<std::string> real = RealPath(path);
  if (!real.ok()) return Refused(path, real.status());
  if (absl::Status trust = CheckPluginTrust(*real, is_root); !trust.ok()) {
    return Refused(*real, trust);
  }
  absl::StatusOr<std::string> name = PluginNameOf(*real);
  if (!name.ok()) return Refused(*real, name.status());
  return {.path = *real, .name = *name, .status = absl::OkStatus()};
}

std::vector<FoundPlugin> FindPlugins(const std::vector<PluginPlace>& places,
                                     bool is_root) {
  Finder finder(is_root);
  for (const PluginPlace& place : places) finder.Look(place);
  return finder.Take();
}

}  // namespace worldswitch
