// The other half of a scenario that takes two: vCPU 1 on a thread of its own
// (kPeerVcpu), or a thread that raises interrupts for a guest that waits
// (kPeerIrq). It lives as long as the repetition. kParallel scenarios have
// theirs from parallel_vcpus.h.

#ifndef WORLDSWITCH_BENCH_PEER_SCENARIOS_H_
#define WORLDSWITCH_BENCH_PEER_SCENARIOS_H_

#include <atomic>
#include <memory>
#include <string>

#include "bench/scenario.h"
#include "core/host/backend.h"

namespace worldswitch {

class ScenarioPeer {
 public:
  // Ends the peer and waits for its thread. vCPU 0 must not be running.
  virtual ~ScenarioPeer() = default;
  // False: the scenario cannot be measured here, and why() says by whose word.
  bool ready() const { return why_.empty(); }
  const std::string& why() const { return why_; }
  // Around the samples: what the peer does by itself, besides what the guest
  // sees of it. Finish gives why it did not, or "", and what it did.
  virtual void Begin() {}
  virtual std::string Finish(std::string* /*evidence*/) { return ""; }

 protected:
  std::string why_;
};

// Null for a scenario without a peer. Call it once vCPU 0's guest is loaded and
// the scenario prepared; waits until the peer is at its post. stop: gives up
// waiting.
std::unique_ptr<ScenarioPeer> StartPeer(Vm& vm, const Scenario& scenario,
                                        GuestMode mode,
                                        const std::atomic<bool>& stop);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_PEER_SCENARIOS_H_
