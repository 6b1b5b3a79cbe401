// What makes figures on this host differ from what they would be on a quiet
// one, and the remedy for each, by its fingerprint alone. For a thread that is
// pinned to CPU 3 here: FindDistortions(ReadFingerprint(), 3).

#ifndef WORLDSWITCH_CORE_HOST_DISTORTIONS_H_
#define WORLDSWITCH_CORE_HOST_DISTORTIONS_H_

#include <string>
#include <vector>

#include "core/host/fingerprint.h"

namespace worldswitch {

// Something that makes figures on this host differ from what they would be.
struct Distortion {
  std::string name;    // "nested", "governor", "smt", ...
  std::string why;     // one line
  std::string remedy;  // one line: a command, or what to do instead
};

// All that the fingerprint shows to be wrong now. pinned_cpu: where the
// measuring thread is pinned, -1 if it is not. What could not be read is not
// reported: absence of a distortion is no proof. In a lab only what makes the
// kernel take another path counts. Mitigations are facts and not
// distortions: they are part of what a switch costs.
std::vector<Distortion> FindDistortions(const Fingerprint& fingerprint,
                                        int pinned_cpu);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_DISTORTIONS_H_
