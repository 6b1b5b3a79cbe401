// Mutants of REG.*: registers on their way.

#include <cstdint>
#include <utility>

#include "tests/conformance/mutants.h"

namespace worldswitch {
namespace {

// Wrong only once the guest has run, so that guests can be loaded.
class RegisterMutant : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    has_run_ = true;
    return inner().run();
  }

 protected:
  bool has_run_ = false;
};

class IgnoresCommit final : public RegisterMutant {
 public:
  using RegisterMutant::RegisterMutant;
  Result commit_registers() override {
    RegisterFile& file = registers();
    if (!has_run_ || file.dirty != kGeneralRegisters) {
      return inner().commit_registers();
    }
    file.dirty = kNoRegisters;
    return Result::kOk;
  }
};

class DropsDirty final : public RegisterMutant {
 public:
  using RegisterMutant::RegisterMutant;
  Exit run() override {
    if (has_run_) registers().dirty = kNoRegisters;
    return RegisterMutant::run();
  }
};

class ForgetsRdi final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Result fetch_registers(RegisterSet groups) override {
    const Result result = inner().fetch_registers(groups);
    if ((groups & kGeneralRegisters) != 0) registers().general.rdi = 0;
    return result;
  }
};

// Special registers are those of the first time that they were fetched.
class StaleSpecialRegisters final : public RegisterMutant {
 public:
  using RegisterMutant::RegisterMutant;
  Result fetch_registers(RegisterSet groups) override {
    const Result result = inner().fetch_registers(groups);
    if ((groups & kSpecialRegisters) == 0) return result;
    if (has_run_) {
      registers().special.fs = fs_;
    } else {
      fs_ = registers().special.fs;
    }
    return result;
  }

 private:
  Segment fs_ = {};
};

class IgnoresWanted final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const RegisterSet wanted = std::exchange(registers().wanted, kNoRegisters);
    const Exit exit = inner().run();
    registers().wanted = wanted;
    return exit;
  }
};

// Says that wanted groups are cached, and did not fill them.
class CachesStaleRegisters final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const GeneralRegisters before = registers().general;
    const Exit exit = inner().run();
    if ((registers().wanted & kGeneralRegisters) != 0) {
      registers().general = before;
    }
    return exit;
  }
};

class HidesRefusal final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Result commit_registers() override {
    inner().commit_registers();
    return Result::kOk;
  }
};

}  // namespace

std::vector<Mutant> RegisterMutants() {
  return {
      {"IgnoresCommit",
       Of<IgnoresCommit>,
       {"REG.1"},
       {"INJ.2", "INJ.5", "INJ.6"}},
      {"ForgetsRdi", Of<ForgetsRdi>, {"REG.2"}},
      {"StaleSpecialRegisters", Of<StaleSpecialRegisters>, {"REG.2"}},
      {"DropsDirty", Of<DropsDirty>, {"REG.3"}},
      {"IgnoresWanted", Of<IgnoresWanted>, {"REG.4"}},
      {"CachesStaleRegisters", Of<CachesStaleRegisters>, {"REG.4"}},
      {"HidesRefusal", Of<HidesRefusal>, {"REG.5"}},
  };
}

}  // namespace worldswitch
