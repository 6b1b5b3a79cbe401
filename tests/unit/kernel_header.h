// The kernel's own lists of exits, read from its headers as text: what a macro
// of theirs leaves out is found too.

#ifndef WORLDSWITCH_TESTS_UNIT_KERNEL_HEADER_H_
#define WORLDSWITCH_TESTS_UNIT_KERNEL_HEADER_H_

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace worldswitch {

// Name and value of every "#define PREFIXname number" of asm/NAME, whose
// directory depends on the distribution; empty where the file is not found.
inline std::map<std::string, std::uint64_t> DefinesOf(
    const std::string& name, const std::string& prefix) {
  std::map<std::string, std::uint64_t> defines;
  for (const char* const directory :
       {"/usr/include/x86_64-linux-gnu/asm/", "/usr/include/asm/"}) {
    std::ifstream file(directory + name);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string define;
      std::string macro;
      std::string number;
      words >> define >> macro >> number;
      if (define != "#define" || macro.rfind(prefix, 0) != 0) continue;
      char* end = nullptr;
      const std::uint64_t value = std::strtoull(number.c_str(), &end, 0);
      if (number.empty() || *end != '\0') continue;  // not a number
      defines[macro.substr(prefix.size())] = value;
    }
    if (!defines.empty()) break;
  }
  return defines;
}

// Its letters and digits, in small letters: "I/O instruction" and
// "IO_INSTRUCTION" become the same.
inline std::string Letters(const std::string& name) {
  std::string letters;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return letters;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_UNIT_KERNEL_HEADER_H_
