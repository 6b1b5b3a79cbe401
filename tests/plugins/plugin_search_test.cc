// Where plugins are looked for, and whose are taken.

#include "core/host/plugin_search.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/host/plugin_trust.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plugins/plugin_folder.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

std::vector<FoundPlugin> Find(const std::string& variable) {
  return FindPlugins(PlacesOfVariable(variable), false);
}

TEST(PluginSearchTest, FoldersAndFilesInTheirOrder) {
  const PluginFolder one;
  const PluginFolder two;
  one.AddBad("unusable");
  one.AddBad("good");
  one.AddFile("README.txt", "not a plugin, and not looked at");
  const std::string file = two.AddBad("twin_a");
  two.AddBad("twin_b");  // not named
  const std::vector<FoundPlugin> found = Find(one.path() + ":" + file);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].path, one.Path("good.so"));
  EXPECT_EQ(found[0].name, "good");
  EXPECT_EQ(found[1].name, "unusable");
  EXPECT_EQ(found[2].path, file);
  for (const FoundPlugin& each : found) EXPECT_TRUE(each.status.ok());
}

TEST(PluginSearchTest, TheSameFileIsFoundOnce) {
  const PluginFolder folder;
  const std::string file = folder.AddBad("good");
  const std::string link = folder.Path("link.so");
  fs::create_symlink(file, link);
  const std::vector<FoundPlugin> found =
      Find(folder.path() + ":" + file + ":" + link + ":" + folder.path() + "/");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, file);
}

TEST(PluginSearchTest, EmptyAndRelativeEntriesAreRefused) {
  EXPECT_THAT(PlacesOfVariable(""), IsEmpty());
  const PluginFolder folder;
  folder.AddBad("good");
  ASSERT_EQ(chdir(folder.path().c_str()), 0);
  for (const char* entry : {":", ".", "good.so", "./good.so"}) {
    const std::vector<FoundPlugin> found = Find(entry);
    ASSERT_FALSE(found.empty()) << entry;
    EXPECT_EQ(found[0].status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(found[0].status.message()),
                HasSubstr("nothing is taken from the working directory"));
  }
  ASSERT_EQ(chdir("/"), 0);
}

TEST(PluginSearchTest, WhatIsNotThereIsToldIfSomebodyNamedIt) {
  const PluginFolder folder;
  const std::vector<FoundPlugin> found = Find(folder.Path("none"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(found[0].status));
  EXPECT_THAT(
      FindPlugins({{.path = folder.Path("none"), .is_optional = true}}, false),
      IsEmpty());
}

TEST(PluginSearchTest, TheVariableAndThePrefixCount) {
  setenv(kBackendPathVariable, "/a:/b.so", 1);
  std::vector<std::string> paths;
  for (const PluginPlace& place : DefaultPluginPlaces()) {
    paths.push_back(place.path);
  }
  unsetenv(kBackendPathVariable);
  ASSERT_EQ(paths.size(), 4u);
  const fs::path program = fs::read_symlink("/proc/self/exe");
  EXPECT_EQ(paths[0],
            (program.parent_path().parent_path() / "lib/worldswitch/backends")
                .string());
  EXPECT_THAT(paths[1], HasSubstr("/lib/worldswitch/backends"));
  EXPECT_EQ(paths[2], "/a");
  EXPECT_EQ(paths[3], "/b.so");
}

class PluginTrustTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!RunsAsRoot()) GTEST_SKIP() << "files of root's can only be root's";
    file_ = folder_.AddBad("good");
    if (!Check().ok()) {
      GTEST_SKIP() << "the folder of temporary files is not root's own: "
                   << Check();
    }
  }
  absl::Status Check() const { return CheckPluginTrust(file_, true); }

  PluginFolder folder_;
  std::string file_;
};

TEST_F(PluginTrustTest, FilesAndFoldersThatOthersMayWriteToAreRefused) {
  for (const std::string& path : {file_, folder_.path()}) {
    for (const mode_t bit : {S_IWGRP, S_IWOTH}) {
      struct stat before = {};
      ASSERT_EQ(stat(path.c_str(), &before), 0);
      ASSERT_EQ(chmod(path.c_str(), before.st_mode | bit), 0);
      const absl::Status status = Check();
      EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << path;
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("chmod go-w " + path));
      // Only for root: everybody else runs what they could change.
      EXPECT_TRUE(CheckPluginTrust(file_, false).ok());
      ASSERT_EQ(chmod(path.c_str(), before.st_mode), 0);
    }
  }
  EXPECT_TRUE(Check().ok());
}

TEST_F(PluginTrustTest, AStickyFolderWillNotDoForTheFileItself) {
  ASSERT_EQ(chmod(folder_.path().c_str(), 01777), 0);
  EXPECT_EQ(Check().code(), absl::StatusCode::kPermissionDenied);
  // One further up will: /tmp is one.
  fs::create_directory(folder_.Path("below"));
  fs::rename(file_, folder_.Path("below/good.so"));
  EXPECT_TRUE(CheckPluginTrust(folder_.Path("below/good.so"), true).ok());
}

TEST_F(PluginTrustTest, WhatBelongsToAnotherUserIsRefused) {
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(chown(file_.c_str(), kNobody, 0), 0);
  EXPECT_THAT(std::string(Check().message()),
              HasSubstr("belongs to user 65534"));
  ASSERT_EQ(chown(file_.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(folder_.path().c_str(), kNobody, 0), 0);
  EXPECT_EQ(Check().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(FindPlugins({{.path = folder_.path()}}, true)[0].status.code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_EQ(chown(folder_.path().c_str(), 0, 0), 0);
}

}  // namespace
}  // namespace worldswitch
