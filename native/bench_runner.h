// `bench`: every selected scenario in every mode, one row each, into the log.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_BENCH_RUNNER_H_
#define WORLDSWITCH_NATIVE_BENCH_RUNNER_H_

#include "bench/block_driver.h"
#include "bench/scenario.h"
#include "native/command_line.h"
#include "native/repetition.h"
#include "native/vm_maker.h"

namespace worldswitch::native {

class BenchRunner {
 public:
  BenchRunner(VmMaker& maker, const HostServices& host, const Options& options);

  // False: a word of the command line matches nothing; *unmatched is it.
  bool Check(TextView* unmatched) const;
  // loop: how the guests are run; null: through VcpuOps.
  void Run(BlockLoop loop);

 private:
  bool Selected(const Scenario& scenario) const;
  void RunRow(const Scenario& scenario, GuestMode mode);
  // Null, or why the row cannot be measured in this image at all.
  static const char* WhyNotHere(const Scenario& scenario);
  bool MeasureGuest(const Scenario& scenario, GuestMode mode, NativeVm& vm,
                    Refusal* refusal);
  bool MeasureOn(BlockDriver& driver, const Scenario& scenario, GuestMode mode,
                 NativeVm& vm, Refusal* refusal);
  bool MeasureHostCall(const Scenario& scenario, NativeVm& vm,
                       Refusal* refusal);

  VmMaker& maker_;
  const HostServices& host_;
  const Options& options_;
  BlockLoop loop_ = nullptr;
  Repetition repetition_;
  HostPages driver_pages_;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_BENCH_RUNNER_H_
