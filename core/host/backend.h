// Backends as a host program sees them: found by name, probed, asked for VMs.
//
// Host floor: ordinary hosted C++ with Abseil. Every status says what was
// attempted, on what, the errno by name, and what the user can do.

#ifndef WORLDSWITCH_CORE_HOST_BACKEND_H_
#define WORLDSWITCH_CORE_HOST_BACKEND_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/host/knob.h"
#include "core/vm_ops.h"

namespace worldswitch {

// Where a VM's memory comes from.
enum class MemoryBacking : std::uint8_t {
  kAnonymous,  // private anonymous pages of 4 KiB
  kHuge,       // anonymous, aligned and advised for 2 MiB pages (THP)
  kHugetlb,    // from the hugetlb pool, 2 MiB pages
  kMemfd,      // a shared memfd, so that other processes can map it
};

struct VmConfig {
  VmNeeds needs;
  MemoryBacking backing = MemoryBacking::kAnonymous;
  // VM- and vCPU-scope knobs by name; an unknown one is refused.
  KnobSettings knobs;
};

// A VM that can be destroyed. Its vCPUs must not be running then.
class Vm : public VmOps {
 public:
  virtual ~Vm() = default;

  // What the backend knows of an exit of one of its vCPUs beyond what the Exit
  // says: an error's parts, the hardware's own exit by the manual's names. ""
  // where that is nothing. For reports: allocates, and must come before the
  // vCPU's next run.
  virtual std::string Explain(const Exit& /*exit*/) const { return ""; }
};

// One line about the machine behind the backend: a name and a value.
struct Fact {
  std::string name;
  std::string value;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const std::string& name() const = 0;
  // What stands behind it: "kvm_intel", "kvm_amd", "kvm_pvm", "unknown";
  // "none" for a backend without a machine.
  virtual std::string engine() const = 0;
  // "ticks" of the TSC, or "instructions" in a lab: HostUnit().
  virtual std::string unit() const;
  // For `probe`: version, limits, capabilities, as the engine tells them.
  virtual std::vector<Fact> facts() const = 0;
  virtual const KnobSet& knobs() const = 0;
  virtual absl::StatusOr<std::unique_ptr<Vm>> CreateVm(
      const VmConfig& config) = 0;
};

// "name:key=value,key=value", taken apart.
struct BackendSpec {
  std::string name;
  std::vector<std::pair<std::string, std::string>> parameters;
};
absl::StatusOr<BackendSpec> ParseBackendSpec(const std::string& text);

// How one kind of backend comes into being.
struct BackendFactory {
  std::string name;
  std::string summary;
  // Keys that `create` understands, each with one line of meaning.
  std::vector<Fact> parameters;
  // `auto` considers it only if true: `scripted` is never chosen unasked.
  bool is_machine = true;
  // Ok: usable here. Otherwise why not, with the remedy.
  std::function<absl::Status()> probe;
  // Parameters are already checked against `parameters`.
  std::function<absl::StatusOr<std::unique_ptr<Backend>>(const BackendSpec&)>
      create;
  // The file it comes from; "" where the program is built with it.
  std::string origin = {};
};

// A backend, or what was found in place of one.
struct BackendListing {
  std::string name;    // "" where not even that is known
  std::string origin;  // a file or folder; "" where it is built in
  // Ok: nothing is known against it. Otherwise why it is refused.
  absl::Status status;
};

class BackendRegistry;

// Backends beyond those that a program is built with, looked for when somebody
// asks (core/host/plugin_catalogue.h). `asker`: the registry it is asked for,
// which outlives every backend.
class BackendSource {
 public:
  virtual ~BackendSource() = default;
  // What there is, without running any of it.
  virtual std::vector<BackendListing> List(const BackendRegistry& asker) = 0;
  // By its name, or by the path of its file: a name with a '/'. Good as long as
  // the source. NotFound: there is none; else why it is refused.
  virtual absl::StatusOr<const BackendFactory*> Find(
      const std::string& name, const BackendRegistry& asker) = 0;
};

// The backends of a program, in order of preference. Made once at start-up,
// read-only afterwards. With a source: for one thread at a time, and stays
// where it is.
class BackendRegistry {
 public:
  // A second one of the same name is refused.
  absl::Status Add(BackendFactory factory);
  // Those that the program is built with.
  const std::vector<BackendFactory>& factories() const { return factories_; }

  // Where to look for others: after all of ours.
  void SetSource(std::unique_ptr<BackendSource> source);
  // Everything, ours first, without running any of the source's.
  std::vector<BackendListing> List() const;
  // One by its name or path. NotFound names what there is.
  absl::StatusOr<const BackendFactory*> Find(const std::string& name) const;

  // What `auto` found on its way.
  struct Skipped {
    std::string name;
    absl::Status why;
  };
  struct Opened {
    std::unique_ptr<Backend> backend;
    std::vector<Skipped> skipped;  // only for "auto"
  };
  // Explicit mode: `text` names a backend, and any trouble is a specific error.
  // Auto mode ("auto"): the first usable machine, with why each one before it
  // was skipped; NotFound with all reasons where none is usable. Of the source
  // nothing is tried where one of ours is usable.
  absl::StatusOr<Opened> Open(const std::string& text) const;

 private:
  absl::StatusOr<Opened> OpenNamed(const BackendSpec& spec) const;
  absl::StatusOr<Opened> OpenAuto() const;
  // True: opened. False: why not is in opened->skipped.
  static bool TryMachine(const BackendFactory& factory, Opened* opened);

  std::vector<BackendFactory> factories_;
  std::unique_ptr<BackendSource> source_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_HOST_BACKEND_H_
