// Ends the whole program when something takes too long: the last resort of
// programs that run guests through loops nobody can kick.

#ifndef WORLDSWITCH_BENCH_DEADLINE_H_
#define WORLDSWITCH_BENCH_DEADLINE_H_

namespace worldswitch {

// While it lives, SIGALRM comes after `seconds` (1 or more) and ends the
// program with exit code 1 and a message. One at a time. `what` must outlive
// it.
class Deadline {
 public:
  Deadline(unsigned seconds, const char* what);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_DEADLINE_H_
