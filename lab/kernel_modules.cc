#include "lab/kernel_modules.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/host/suggest.h"
#include "lab/decompress.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

// "kvm-amd.ko.xz" as "kvm_amd"; "" where it is no module.
std::string ModuleName(const std::string& file) {
  const std::size_t end = file.find(".ko");
  if (end == std::string::npos) return "";
  const std::string rest = file.substr(end);
  if (rest != ".ko" && rest != ".ko.xz" && rest != ".ko.zst" &&
      rest != ".ko.gz") {
    return "";
  }
  return absl::StrReplaceAll(file.substr(0, end), {{"-", "_"}});
}

}  // namespace

std::vector<std::string> ModuleRecords(absl::string_view module,
                                       absl::string_view key) {
  std::vector<std::string> values;
  const std::string start = absl::StrCat(absl::string_view("\0", 1), key, "=");
  for (std::size_t at = module.find(start); at != absl::string_view::npos;
       at = module.find(start, at + 1)) {
    const absl::string_view rest = module.substr(at + start.size());
    values.emplace_back(rest.substr(0, rest.find('\0')));
  }
  return values;
}

absl::StatusOr<KernelModules> KernelModules::In(const std::string& directory) {
  KernelModules found;
  found.directory_ = directory;
  std::error_code error;
  fs::recursive_directory_iterator entry(directory, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    const std::string name = ModuleName(entry->path().filename().string());
    if (!name.empty()) found.paths_[name] = entry->path().string();
    entry.increment(error);
  }
  if (error) {
    return absl::NotFoundError(absl::StrCat("looking for modules in ",
                                            directory, ": ", error.message()));
  }
  return found;
}

absl::StatusOr<std::vector<KernelModule>> KernelModules::LoadOrder(
    const std::vector<std::string>& names) const {
  std::vector<KernelModule> order;
  std::set<std::string> seen;
  const std::function<absl::Status(const std::string&)> add =
      [&](const std::string& name) -> absl::Status {
    if (!seen.insert(name).second) return absl::OkStatus();
    const auto path = paths_.find(name);
    if (path == paths_.end()) {
      return absl::NotFoundError(
          absl::StrCat("no module ", name, " below ", directory_));
    }
    absl::StatusOr<std::string> file = ReadWholeFile(path->second);
    if (!file.ok()) return file.status();
    absl::StatusOr<std::string> bytes = Decompress(*file);
    if (!bytes.ok()) {
      return absl::DataLossError(
          absl::StrCat(path->second, ": ", bytes.status().message()));
    }
    KernelModule module;
    module.name = name;
    for (const std::string& list : ModuleRecords(*bytes, "depends")) {
      for (const absl::string_view need :
           absl::StrSplit(list, ',', absl::SkipEmpty())) {
        module.needs.push_back(absl::StrReplaceAll(need, {{"-", "_"}}));
      }
    }
    for (const std::string& parameter : ModuleRecords(*bytes, "parmtype")) {
      module.parameters.push_back(parameter.substr(0, parameter.find(':')));
    }
    module.bytes = *std::move(bytes);
    for (const std::string& need : module.needs) {
      if (absl::Status added = add(need); !added.ok()) return added;
    }
    order.push_back(std::move(module));
    return absl::OkStatus();
  };
  for (const std::string& name : names) {
    if (absl::Status added = add(name); !added.ok()) return added;
  }
  return order;
}

absl::StatusOr<ModuleParameter> ParseModuleParameter(const std::string& text) {
  const std::size_t dot = text.find('.');
  const std::size_t equals = text.find('=', dot == std::string::npos ? 0 : dot);
  if (dot == std::string::npos || dot == 0 || equals == std::string::npos ||
      equals == dot + 1 || equals + 1 == text.size() ||
      text.find(' ') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--module-param takes MODULE.NAME=VALUE, such as kvm_amd.npt=0, not '",
        text, "'"));
  }
  return ModuleParameter{absl::StrReplaceAll(text.substr(0, dot), {{"-", "_"}}),
                         text.substr(dot + 1, equals - dot - 1),
                         text.substr(equals + 1)};
}

absl::StatusOr<std::string> ParametersFor(
    const KernelModule& module, const std::vector<ModuleParameter>& all) {
  std::string text;
  for (const ModuleParameter& parameter : all) {
    if (parameter.module != module.name) continue;
    const std::vector<std::string>& known = module.parameters;
    if (std::find(known.begin(), known.end(), parameter.name) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "module ", module.name, " of this kernel has no parameter '",
          parameter.name, "'", KnownNames(parameter.name, known)));
    }
    absl::StrAppend(&text, text.empty() ? "" : " ", parameter.name, "=",
                    parameter.value);
  }
  return text;
}

}  // namespace worldswitch
