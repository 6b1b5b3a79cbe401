// Undoes gzip, bzip2, xz, lzma, lz4 (the kernel's old frame as well) and zstd,
// told apart by the data itself.

#ifndef WORLDSWITCH_LAB_DECOMPRESS_H_
#define WORLDSWITCH_LAB_DECOMPRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

// What is not compressed comes back as it is.
absl::StatusOr<std::string> Decompress(absl::string_view bytes);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_DECOMPRESS_H_
