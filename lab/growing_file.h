// What an emulator writes into a file, read while it does.

#ifndef WORLDSWITCH_LAB_GROWING_FILE_H_
#define WORLDSWITCH_LAB_GROWING_FILE_H_

#include <string>
#include <utility>

namespace worldswitch {

class GrowingFile {
 public:
  // The file need not be there yet.
  explicit GrowingFile(std::string path) : path_(std::move(path)) {}
  ~GrowingFile();
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  // Some bytes that were not read yet; "" where there are none.
  std::string Read();

 private:
  std::string path_;
  int fd_ = -1;
};

// What to say of a file that ends too soon: ": the disk is full (...)", with
// the remedy, or "".
std::string FullDisk(const std::string& path);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_GROWING_FILE_H_
