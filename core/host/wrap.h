// Text for a terminal.

#ifndef WORLDSWITCH_CORE_HOST_WRAP_H_
#define WORLDSWITCH_CORE_HOST_WRAP_H_

#include <cstddef>
#include <string>

namespace worldswitch {

// No line of the command's output is wider.
inline constexpr std::size_t kTableColumns = 100;

// Text broken at spaces into lines of at most kTableColumns, each ended, all
// but the first indented. A word that is longer stays whole.
std::string Wrap(const std::string& text, std::size_t indent);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_WRAP_H_
