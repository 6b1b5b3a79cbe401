// What the tests run inside a lab:
//
//   lab_guest report OUT IN   tells of its world; OUT gets IN's bytes and "!"
//   lab_guest exit N          ends with exit code N
//   lab_guest signal          ends by SIGABRT
//   lab_guest hang            never ends

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

int Report(const char* out, const char* in) {
  for (const char* device : {"/dev/kvm", "/dev/cpu/0/msr"}) {
    std::printf("%s %s\n", device, access(device, R_OK) == 0 ? "yes" : "no");
  }
  const char* lab = std::getenv("WORLDSWITCH_LAB");
  std::printf("lab %s\n", lab == nullptr ? "none" : lab);
  std::fprintf(stderr, "on standard error\n");
  std::ifstream from(in);
  const std::string bytes{std::istreambuf_iterator<char>(from), {}};
  std::ofstream(out) << bytes << "!";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "report" && argc == 4) return Report(argv[2], argv[3]);
  if (what == "exit" && argc == 3) return std::atoi(argv[2]);
  if (what == "signal") std::abort();
  while (what == "hang") pause();
  std::fprintf(stderr, "usage: lab_guest report|exit|signal|hang ...\n");
  return 2;
}
