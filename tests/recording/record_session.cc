// Records the session of session.h, for whoever replays it elsewhere:
//
//   record_session RECORDER BACKEND --out FILE
//
// RECORDER and BACKEND: paths of plugins; BACKEND may be the name of a built-in
// backend. Prints the trace, then the ending behind "ending: ".
// Exit code: 0 done, 1 not (and why), 2 usage.

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_backend.h"
#include "core/host/plugin_catalogue.h"
#include "tests/recording/session.h"

namespace worldswitch {
namespace {

constexpr int kRounds = 12;

int Record(const std::string& recorder, const std::string& backend,
           const std::string& file) {
  BackendRegistry registry;
  absl::Status status = registry.Add(KvmBackendFactory());
  registry.SetSource(std::make_unique<PluginCatalogue>(
      PluginCatalogue::Options{.places = {}}));
  absl::StatusOr<BackendRegistry::Opened> opened = registry.Open(
      absl::StrCat(recorder, ":backend=", backend, ",file=", file));
  if (status.ok()) status = opened.status();
  if (status.ok()) {
    absl::StatusOr<Session> session = RunSession(*opened->backend, kRounds);
    status = session.status();
    if (session.ok()) {
      std::cout << session->trace << "ending: " << session->ending << "\n";
    }
  }
  if (status.ok()) return 0;
  std::cerr << "record_session: " << status.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  if (argc != 5 || std::string(argv[3]) != "--out") {
    std::fprintf(stderr, "usage: record_session RECORDER BACKEND --out FILE\n");
    return 2;
  }
  return worldswitch::Record(argv[1], argv[2], argv[4]);
}
