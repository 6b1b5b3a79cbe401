// A result file is written whole or not at all.

#include "bench/output_file.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

class OutputFileTest : public ::testing::Test {
 protected:
  OutputFileTest() {
    std::string pattern = ::testing::TempDir() + "output_file_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~OutputFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return folder_ + "/result.json"; }
  std::string Content() const {
    std::ifstream file(Path());
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  long Files() const {
    return std::distance(std::filesystem::directory_iterator(folder_), {});
  }

  std::string folder_;
};

TEST_F(OutputFileTest, CommitReplacesTheOldFile) {
  std::ofstream(Path()) << "old";
  absl::StatusOr<OutputFile> file = OutputFile::Open(Path());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Content(), "old");
  ASSERT_TRUE(file->Commit("new").ok());
  EXPECT_EQ(Content(), "new");
  EXPECT_EQ(Files(), 1);
}

TEST_F(OutputFileTest, WithoutCommitNothingIsChangedOrLeft) {
  std::ofstream(Path()) << "old";
  {
    absl::StatusOr<OutputFile> file = OutputFile::Open(Path());
    ASSERT_TRUE(file.ok()) << file.status();
  }
  EXPECT_EQ(Content(), "old");
  EXPECT_EQ(Files(), 1);
}

TEST_F(OutputFileTest, AFolderThatIsNotThereIsRefusedAtOnce) {
  absl::StatusOr<OutputFile> file = OutputFile::Open(folder_ + "/no/such.json");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("ENOENT"));
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("no/such.json"));
}

}  // namespace
}  // namespace worldswitch
