// Progress on standard error: a line that is drawn over on a terminal, a line
// now and then elsewhere.

#ifndef WORLDSWITCH_CLI_PROGRESS_H_
#define WORLDSWITCH_CLI_PROGRESS_H_

#include <chrono>
#include <string>

namespace worldswitch {

class Progress {
 public:
  Progress();
  // Ends the drawn-over line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // fraction: 0 to 1, of the whole.
  void Show(const std::string& what, double fraction);
  // Takes the line away; Show brings it back.
  void Clear();

 private:
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
  double next_fraction_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_PROGRESS_H_
