// Mutants of RUN.* and CMP.*: exits and how they are completed.

#include <cstdint>
#include <cstring>

#include "tests/conformance/mutants.h"

namespace worldswitch {
namespace {

bool IsRead(const Exit& exit) {
  return (exit.reason == ExitReason::kIo && !exit.io.is_write) ||
         (exit.reason == ExitReason::kMmio && !exit.mmio.is_write);
}

// Passes over an OUT that only counts on from the one before.
class LoopsOverOuts final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (IsNextOut(exit)) exit = inner().run();
    Remember(exit);
    return exit;
  }

 private:
  static std::uint32_t Value(const Exit& exit) {
    std::uint32_t value = 0;
    std::memcpy(&value, exit.io.data, exit.io.size);
    return value;
  }
  static bool IsOut(const Exit& exit) {
    return exit.reason == ExitReason::kIo && exit.io.is_write &&
           exit.io.count == 1;
  }
  bool IsNextOut(const Exit& exit) const {
    return IsOut(exit) && port_ == exit.io.port && Value(exit) == value_ + 1;
  }
  void Remember(const Exit& exit) {
    port_ = IsOut(exit) ? exit.io.port : 0;
    value_ = IsOut(exit) ? Value(exit) : 0;
  }

  std::uint16_t port_ = 0;
  std::uint32_t value_ = 0;
};

class SaysTotalForElementSize final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (exit.reason == ExitReason::kIo) {
      exit.io.size = static_cast<std::uint8_t>(exit.io.size * exit.io.count);
    }
    return exit;
  }
};

class CutsLongMmio final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (exit.reason == ExitReason::kMmio && exit.mmio.length == 8) {
      exit.mmio.length = 4;
    }
    return exit;
  }
};

// An exit of reason kFrom never arrives.
template <ExitReason kFrom>
class Swallows final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    while (exit.reason == kFrom) exit = inner().run();
    return exit;
  }
};

// An exit of reason kFrom arrives as kTo.
template <ExitReason kFrom, ExitReason kTo>
class Mistakes final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const Exit exit = inner().run();
    return exit.reason == kFrom ? MakeExit(kTo, exit.raw) : exit;
  }
};

class UnknownWithoutCode final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (exit.reason == ExitReason::kUnknown) exit.raw = 0;
    return exit;
  }
};

// ---- CMP --------------------------------------------------------------------

// What the caller gives to an IN of two bytes stays where it was put.
class KeepsWhatInWasGiven final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (exit.reason == ExitReason::kIo && !exit.io.is_write &&
        exit.io.size == sizeof(kept_) && exit.io.count == 1) {
      exit.io.data = &kept_;
    }
    return exit;
  }

 private:
  std::uint16_t kept_ = 0;
};

// The same with what it gives to RDMSR.
class KeepsWhatRdmsrWasGiven final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    Exit exit = inner().run();
    if (exit.reason == ExitReason::kRdmsr) exit.msr.data = &kept_;
    return exit;
  }

 private:
  std::uint64_t kept_ = 0;
};

// Registers fetched at a read are those in front of it.
class FetchesBeforeCompletion final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const Exit exit = inner().run();
    at_read_ = IsRead(exit);
    if (at_read_) rip_ = inner().exit_detail(ExitDetail::kRip).value;
    return exit;
  }
  Result fetch_registers(RegisterSet groups) override {
    const Result result = inner().fetch_registers(groups);
    if (at_read_ && (groups & kGeneralRegisters) != 0) {
      registers().general.rip = rip_;
    }
    return result;
  }

 private:
  bool at_read_ = false;
  std::uint64_t rip_ = 0;
};

// Fetching registers at a read has it executed once more.
class RepeatsAfterFetch final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    if (fetched_) {
      registers().general.rip = rip_;
      registers().dirty |= kGeneralRegisters;
    }
    const Exit exit = inner().run();
    fetched_ = false;
    at_read_ = IsRead(exit);
    if (at_read_) rip_ = inner().exit_detail(ExitDetail::kRip).value;
    return exit;
  }
  Result fetch_registers(RegisterSet groups) override {
    const Result result = inner().fetch_registers(groups);
    fetched_ = at_read_ && result == Result::kOk &&
               (registers().cached & kGeneralRegisters) != 0;
    return result;
  }

 private:
  bool at_read_ = false;
  bool fetched_ = false;
  std::uint64_t rip_ = 0;
};

// Fetching registers at an OUT loses the exit behind it.
class SkipsAfterFetch final : public ForwardingVcpu {
 public:
  using ForwardingVcpu::ForwardingVcpu;
  Exit run() override {
    const Exit exit = inner().run();
    at_out_ = exit.reason == ExitReason::kMmio && exit.mmio.is_write;
    return exit;
  }
  Result fetch_registers(RegisterSet groups) override {
    if (at_out_) inner().run();
    at_out_ = false;
    return inner().fetch_registers(groups);
  }

 private:
  bool at_out_ = false;
};

}  // namespace

std::vector<Mutant> ExitMutants() {
  using enum ExitReason;
  const std::set<std::string> counting = {"RUN.2", "KICK.1", "KICK.2", "KICK.3",
                                          "KICK.4"};
  return {
      {"LoopsOverOuts", Of<LoopsOverOuts>, {"RUN.1"}, counting},
      {"SaysTotalForElementSize", Of<SaysTotalForElementSize>, {"RUN.2"}},
      {"CutsLongMmio", Of<CutsLongMmio>, {"RUN.3"}},
      {"SwallowsHlt", Of<Swallows<kHlt>>, {"RUN.4"}, {"RUN.6"}},
      {"MistakesShutdownForHlt", Of<Mistakes<kShutdown, kHlt>>, {"RUN.5"}},
      {"SwallowsUnknown", Of<Swallows<kUnknown>>, {"RUN.6"}},
      {"UnknownWithoutCode", Of<UnknownWithoutCode>, {"RUN.6"}},
      {"KeepsWhatInWasGiven", Of<KeepsWhatInWasGiven>, {"CMP.1"}},
      {"KeepsWhatRdmsrWasGiven",
       Of<KeepsWhatRdmsrWasGiven>,
       {"CMP.1"},
       {"CMP.2"}},
      {"FetchesBeforeCompletion", Of<FetchesBeforeCompletion>, {"CMP.2"}},
      {"RepeatsAfterFetch", Of<RepeatsAfterFetch>, {"CMP.3"}, {"CMP.2"}},
      {"SkipsAfterFetch", Of<SkipsAfterFetch>, {"CMP.3"}},
  };
}

}  // namespace worldswitch
