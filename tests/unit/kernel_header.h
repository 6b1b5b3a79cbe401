// The kernel's own lists of exits, read from its headers as text: what a macro
// of theirs leaves out is found too.

#ifndef WORLDSWITCH_TESTS_UNIT_KERNEL_HEADER_H_
#define WORLDSWITCH_TESTS_UNIT_KERNEL_HEADER_H_

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
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
    const std::regex pattern("#define\\s+" + prefix +
                             "(\\w+)\\s+(-?(?:0[xX][0-9a-fA-F]+|[0-9]+))\\s*");
    std::smatch match;
    for (std::string line; std::getline(file, line);) {
      if (!std::regex_match(line, match, pattern)) continue;
      const std::string number = match[2];
      defines[match[1]] = number[0] == '-'
                              ? static_cast<std::uint64_t>(
                                    std::strtoll(number.c_str(), nullptr, 0))
                              : std::strtoull(number.c_str(), nullptr, 0);
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
