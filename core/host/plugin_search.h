// Where plugins are looked for, and what is there by its files alone: nothing
// of a plugin runs here.
//
// Folders: PREFIX/lib/worldswitch/backends, with PREFIX where the program is
// installed (the folder above its own) and the one it was configured with; and
// WORLDSWITCH_BACKEND_PATH, folders or files separated by ':'. Never the
// working directory: an entry that is empty or relative is refused. Of a folder
// files that end in .so are taken.

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_SEARCH_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_SEARCH_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace worldswitch {

inline constexpr char kBackendPathVariable[] = "WORLDSWITCH_BACKEND_PATH";
// Below a prefix.
inline constexpr char kBackendFolder[] = "lib/worldswitch/backends";

// A folder or a file to look at.
struct PluginPlace {
  std::string path;
  // What is not there is no trouble, since nobody named it.
  bool is_optional = false;
};

// The folders above, and those of the variable. Where the program has more
// rights than who runs it, the variable does not count.
std::vector<PluginPlace> DefaultPluginPlaces();
// The entries of the variable's value.
std::vector<PluginPlace> PlacesOfVariable(const std::string& value);

struct FoundPlugin {
  std::string path;     // absolute, as it is to be loaded
  std::string name;     // of its note; "" where there is none
  absl::Status status;  // why not
};

// is_root: as of CheckPluginTrust. A place or file that is refused is in the
// list too, with the reason. Each file is in it once.
std::vector<FoundPlugin> FindPlugins(const std::vector<PluginPlace>& places,
                                     bool is_root);

// The file at `path`, which may be relative. NotFound: there is none.
FoundPlugin LookAtPlugin(const std::string& path, bool is_root);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_SEARCH_H_
