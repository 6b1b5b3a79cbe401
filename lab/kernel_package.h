// Kernels for labs: Debian packages, downloaded and unpacked (never installed)
// on first use and kept in the cache; or files that the user names.

#ifndef WORLDSWITCH_LAB_KERNEL_PACKAGE_H_
#define WORLDSWITCH_LAB_KERNEL_PACKAGE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "lab/subprocess.h"

namespace worldswitch {

struct KernelFiles {
  std::string name;     // the package, or the path of vmlinuz
  std::string version;  // of the package, "" for files
  std::string vmlinuz;  // its path
  std::string modules;  // a directory
};

// Told what is being done, where it takes a moment.
using LabProgress = std::function<void(const std::string& what)>;

// Where kernels are kept: lab/ in the build directory of a program that lies in
// one (its bin/), else $XDG_CACHE_HOME/worldswitch/lab or
// ~/.cache/worldswitch/lab.
std::string LabCacheDirectory(const std::string& program);

// "VMLINUZ+MODULES": a bzImage, and a directory with its modules. Either may
// have '+' in its name. NotFound: which of the two is not there.
absl::StatusOr<KernelFiles> ParseKernelFiles(const std::string& text);

// The package as it is in the cache, fetched if it is not. package:
// "linux-image-6.1.0-56-cloud-amd64", or without "linux-image-"; "": the newest
// cloud kernel of this Debian, looked up once and then kept in the cache.
absl::StatusOr<KernelFiles> FetchKernel(const std::string& package,
                                        const std::string& cache,
                                        const LabProgress& progress,
                                        const StopFlag& stop);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_KERNEL_PACKAGE_H_
