// Whose code root is about to run: files and folders of plugins that others
// could have changed are refused.

#ifndef WORLDSWITCH_CORE_HOST_PLUGIN_TRUST_H_
#define WORLDSWITCH_CORE_HOST_PLUGIN_TRUST_H_

#include <string>

#include "absl/status/status.h"

namespace worldswitch {

// path: absolute, without symbolic links; a file or a folder. Ok where the
// process is not root's, which runs what its user may change anyway. For root,
// PermissionDenied unless it, the folder a file is in, and all folders above
// belong to root and nobody else may write to them. Folders further up may be
// ones like /tmp, where nobody can replace what is another's (sticky).
absl::Status CheckPluginTrust(const std::string& path, bool is_root);

// Whether this process has root's rights.
bool RunsAsRoot();

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_PLUGIN_TRUST_H_
