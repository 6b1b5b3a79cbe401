// The result as a person reads it: at most 100 columns, colour only on a
// terminal.

#ifndef WORLDSWITCH_CLI_TABLE_H_
#define WORLDSWITCH_CLI_TABLE_H_

#include <string>

#include "bench/session.h"
#include "core/host/fingerprint.h"

namespace worldswitch {

struct TableContext {
  std::string version;
  std::string backend;
  std::string engine;
  std::string unit;
  SessionOptions options;
  const Fingerprint* fingerprint = nullptr;
  bool color = false;
};

// What the figures are and what distorts them; shown before the run.
std::string TableHead(const TableContext& context);
// The rows, the legs, and how far to trust them; shown after it.
std::string TableBody(const SessionResult& result, const TableContext& context);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_TABLE_H_
