#include "lab/side_by_side.h"

#include <cstddef>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kNet[] = "net_instructions";
constexpr char kMode[] = "/mode:ring0";
constexpr char kAbsent[] = "-";

struct Result {
  std::string engine;
  std::string emulator;
  std::string model;
  std::string kernel;
  std::map<std::string, double> net;  // of proven rows, by scenario, in ring 0

  bool native() const { return absl::EndsWith(engine, "_native"); }
  std::optional<double> Of(const std::string& scenario) const {
    const auto found = net.find(scenario);
    return found == net.end() ? std::nullopt : std::optional(found->second);
  }
};

absl::StatusOr<Result> ReadResult(const std::string& text, std::size_t number) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() ||
      json.value("/context/unit"_json_pointer, "") != "instructions" ||
      !json.contains("/worldswitch/rows"_json_pointer)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "result ", number, " is not one that counts instructions"));
  }
  const Json& context = json["context"];
  const Json facts = context.value("fingerprint", Json::object());
  Result result = {.engine = context.value("engine", ""),
                   .emulator = facts.value("lab.emulator", "unknown emulator"),
                   .model = facts.value("lab.cpu_model", "unknown CPU"),
                   .kernel = facts.value("lab.kernel", ""),
                   .net = {}};
  for (const Json& row : json["worldswitch"]["rows"]) {
    const std::string name = row.value("name", "");
    if (!absl::EndsWith(name, kMode) || !row.contains(kNet) ||
        row.value("verdict", "") != "proven") {
      continue;
    }
    result.net[row.value("scenario", "")] = row[kNet].get<double>();
  }
  return result;
}

std::string Count(const std::optional<double>& value) {
  return value.has_value() ? absl::StrFormat("%.0f", *value) : kAbsent;
}

std::optional<double> Beyond(const std::optional<double>& whole,
                             const std::optional<double>& part) {
  if (!whole.has_value() || !part.has_value()) return std::nullopt;
  return *whole - *part;
}

// The three cells of an exit; false: nothing is known of it.
bool Cells(const ComparedExit& exit, const Result& kvm, const Result& native,
           std::string* cells) {
  const std::optional<double> through = native.Of(exit.native);
  const std::optional<double> kernel = kvm.Of(exit.kernel);
  const std::optional<double> user = kvm.Of(exit.user);
  std::string last = Count(Beyond(user, kernel));
  if (!kernel.has_value()) {
    last = Count(Beyond(user, through));
    if (last != kAbsent) last.insert(0, "+");
  }
  absl::StrAppend(cells, " ", Count(through), " | ",
                  Count(Beyond(kernel, through)), " | ", last, " |");
  return through.has_value() && (kernel.has_value() || user.has_value());
}

absl::Status CheckPair(const Result& kvm, const Result& native,
                       std::size_t number) {
  if (kvm.native() || !native.native()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "results ", number, " and ", number + 1, " are of ", kvm.engine,
        " and ", native.engine, ": one through KVM, then a native one"));
  }
  if (kvm.emulator != native.emulator || kvm.model != native.model) {
    return absl::InvalidArgumentError(
        absl::StrCat("results ", number, " and ", number + 1,
                     " are not of the same CPU: ", kvm.emulator, " ", kvm.model,
                     " and ", native.emulator, " ", native.model));
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<ComparedExit>& ComparedExits() {
  // No triple fault: Bochs takes one under kvm_amd for its own end.
  static const auto* const kExits = new std::vector<ComparedExit>{
      {"CPUID", "native/cpuid", "kernel/cpuid", ""},
      {"VMCALL or VMMCALL", "native/hypercall", "kernel/hypercall",
       "user/hypercall"},
      {"RDMSR", "native/rdmsr", "kernel/rdmsr", "user/rdmsr"},
      {"WRMSR", "native/wrmsr", "kernel/wrmsr", "user/wrmsr"},
      {"IN", "user/pio_in", "kernel/pio_in", "user/pio_in"},
      {"OUT", "user/pio_out", "kernel/pio_out", "user/pio_out"},
      {"MMIO read", "user/mmio_read", "", "user/mmio_read"},
      {"MMIO write", "user/mmio_write", "", "user/mmio_write"},
      {"HLT", "user/hlt", "", "user/hlt"},
      {"interrupt window", "user/irq_window", "", "user/irq_window"},
      {"MOV to CR0", "native/mov_cr0", "kernel/mov_cr0", ""},
      {"MOV to CR4", "native/mov_cr4", "kernel/mov_cr4", ""},
      {"MOV to CR8", "native/mov_cr8", "kernel/mov_cr8", ""},
      {"XSETBV", "native/xsetbv", "kernel/xsetbv", ""},
      {"WBINVD", "native/wbinvd", "kernel/wbinvd", ""},
      {"page fault, 4 KiB", "native/page_fault_4k", "kernel/page_fault_refault",
       ""},
  };
  return *kExits;
}

absl::StatusOr<std::string> SideBySide(
    const std::vector<std::string>& results) {
  if (results.empty() || results.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        "results come in pairs: through KVM, then natively");
  }
  std::string text;
  std::string head = "| exit |";
  std::string rule = "|---|";
  std::vector<Result> read;
  for (std::size_t i = 0; i < results.size(); ++i) {
    absl::StatusOr<Result> result = ReadResult(results[i], i + 1);
    if (!result.ok()) return result.status();
    read.push_back(*std::move(result));
    if (i % 2 == 0) continue;
    const Result& kvm = read[i - 1];
    const Result& native = read[i];
    if (absl::Status pair = CheckPair(kvm, native, i); !pair.ok()) return pair;
    const std::size_t number = i / 2 + 1;
    absl::StrAppend(&text, number, ". ", native.emulator, ", CPU model ",
                    native.model, ": ", native.engine, ", and ", kvm.engine,
                    " of ", kvm.kernel, "\n");
    absl::StrAppend(&head, " ", number, ". switch | ", kvm.engine,
                    " in the kernel | to user space |");
    absl::StrAppend(&rule, "--:|--:|--:|");
  }
  absl::StrAppend(&text, "\n", head, "\n", rule, "\n");
  for (const ComparedExit& exit : ComparedExits()) {
    std::string line = absl::StrCat("| ", exit.name, " |");
    bool any = false;
    for (std::size_t i = 0; i < read.size(); i += 2) {
      any = Cells(exit, read[i], read[i + 1], &line) || any;
    }
    if (any) absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace worldswitch
