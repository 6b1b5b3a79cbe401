#include "core/host/lab_environment.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace worldswitch {
namespace {

constexpr char kDate[] = "date";

struct PathFeature {
  const char* flag;
  const char* without;
};

// APM 2 15: what each saves the hypervisor.
constexpr PathFeature kSvmFeatures[] = {
    {"npt", "guest page tables are shadowed"},
    {"nrip_save", "KVM skips instructions through its emulator"},
    {"decodeassists", "KVM fetches and decodes guest instructions itself"},
    {"vmcb_clean", "each entry loads the whole VMCB"},
    {"flushbyasid", "each TLB flush takes a new ASID"},
    {"pausefilter", "PAUSE never exits"},
    {"pfthreshold", "PAUSE exits are not filtered by time"},
    {"avic", "interrupts are injected by software"},
    {"vgif", "STGI and CLGI exit"},
    {"vnmi", "NMIs are masked by software"},
    {"tsc_scale", "the guest's TSC rate is the host's"},
    {"lbrv", "branch records are switched by software"},
};

// SDM 3C 25.6 and its neighbours.
constexpr PathFeature kVmxFeatures[] = {
    {"ept", "guest page tables are shadowed"},
    {"ept_ad", "accessed and dirty are kept by write protection"},
    {"vpid", "each switch flushes the TLB"},
    {"unrestricted_guest", "real mode is emulated"},
    {"vnmi", "NMIs are masked by software"},
    {"vtpr", "CR8 exits"},
    {"flexpriority", "the local APIC's page is emulated"},
    {"apicv", "interrupts are injected by software"},
    {"vapic_reg", "reads of the local APIC exit"},
    {"vid", "interrupts are delivered by software"},
    {"posted_intr", "interrupts to a running guest exit"},
    {"preemption_timer", "the guest's timer is a host timer"},
    {"ple", "PAUSE loops never exit"},
    {"pml", "dirty pages are found by write protection"},
    {"shadow_vmcs", "VMREAD and VMWRITE of nested guests exit"},
    {"tsc_scaling", "the guest's TSC rate is the host's"},
};

// The words of the first line with this key.
std::vector<std::string> Flags(absl::string_view cpuinfo,
                               absl::string_view key) {
  for (const absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(parts.first) != key) continue;
    return absl::StrSplit(parts.second, ' ', absl::SkipEmpty());
  }
  return {};
}

bool Has(const std::vector<std::string>& flags, const char* flag) {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

PathFeatures Sort(std::span<const PathFeature> features,
                  const std::vector<std::string>& flags) {
  PathFeatures sorted;
  for (const PathFeature& feature : features) {
    if (Has(flags, feature.flag)) {
      sorted.present.emplace_back(feature.flag);
    } else {
      sorted.absent.push_back(
          absl::StrCat(feature.flag, " (", feature.without, ")"));
    }
  }
  return sorted;
}

std::string Clean(absl::string_view value) {
  std::string clean(value);
  for (char& letter : clean) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == ';' || !absl::ascii_isprint(code)) letter = '?';
  }
  return clean;
}

}  // namespace

std::string LabEnvironmentText(const LabEnvironment& lab) {
  std::string text = absl::StrCat(kDate, "=", Clean(lab.date));
  for (const Fact& fact : lab.facts) {
    absl::StrAppend(&text, ";", fact.name, "=", Clean(fact.value));
  }
  return text;
}

LabEnvironment ParseLabEnvironment(absl::string_view text) {
  LabEnvironment lab;
  for (const absl::string_view entry :
       absl::StrSplit(text, ';', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    if (parts.first == kDate) {
      lab.date = parts.second;
    } else {
      lab.facts.push_back({parts.first, parts.second});
    }
  }
  return lab;
}

const std::optional<LabEnvironment>& ThisLab() {
  static const auto* const lab = [] {
    const char* text = std::getenv(kLabVariable);
    return text == nullptr
               ? new std::optional<LabEnvironment>
               : new std::optional<LabEnvironment>(ParseLabEnvironment(text));
  }();
  return *lab;
}

const char* HostUnit() { return ThisLab() ? "instructions" : "ticks"; }

PathFeatures FindPathFeatures(absl::string_view cpuinfo) {
  const std::vector<std::string> flags = Flags(cpuinfo, "flags");
  if (Has(flags, "svm")) return Sort(kSvmFeatures, flags);
  const std::vector<std::string> vmx = Flags(cpuinfo, "vmx flags");
  if (!vmx.empty()) return Sort(kVmxFeatures, vmx);
  return {};
}

}  // namespace worldswitch
