// A folder of a test's own, with plugins in it, as root would have it: nobody
// else may write to it.

#ifndef WORLDSWITCH_TESTS_PLUGINS_PLUGIN_FOLDER_H_
#define WORLDSWITCH_TESTS_PLUGINS_PLUGIN_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace worldswitch {

class PluginFolder {
 public:
  PluginFolder() {
    std::string pattern = ::testing::TempDir() + "plugins_XXXXXX";
    path_ = std::filesystem::canonical(mkdtemp(pattern.data())).string();
  }
  ~PluginFolder() { std::filesystem::remove_all(path_); }
  PluginFolder(const PluginFolder&) = delete;
  PluginFolder& operator=(const PluginFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // One of bad_plugin.cc, by its file's name without ".so".
  std::string AddBad(const std::string& name) const {
    return Copy(std::string(WORLDSWITCH_BAD_PLUGINS "/") + name + ".so");
  }
  // A backend of ours: "kvm_plugin".
  std::string AddOwn(const std::string& name) const {
    return Copy(std::string(WORLDSWITCH_OWN_PLUGINS "/") + name + ".so");
  }
  std::string AddFile(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }

  // Any file. Returns where the copy is.
  std::string Copy(const std::string& from) const {
    namespace fs = std::filesystem;
    const fs::path to = fs::path(path_) / fs::path(from).filename();
    fs::copy_file(from, to);
    fs::permissions(to, fs::perms::owner_all);
    return to.string();
  }

 private:
  std::string path_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_PLUGINS_PLUGIN_FOLDER_H_
