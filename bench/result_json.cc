#include "bench/result_json.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/summary.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kHertzPerMegahertz = 1e6;

void PutOptional(Json& into, const char* key,
                 const std::optional<double>& value) {
  if (value.has_value()) into[key] = *value;
}

// The figures of a distribution, in the unit; what has too few samples is left
// out. Flat and numeric: Google Benchmark's readers take them as counters.
void PutPercentiles(Json& into, const Distribution& samples,
                    const std::string& unit) {
  into[absl::StrCat("min_", unit)] = samples.min();
  const struct {
    const char* name;
    double p;
  } kPercentiles[] = {
      {"p50_", 0.5}, {"p90_", 0.9}, {"p99_", 0.99}, {"p99.9_", 0.999}};
  for (const auto& [name, p] : kPercentiles) {
    PutOptional(into, absl::StrCat(name, unit).c_str(), samples.Percentile(p));
  }
  into[absl::StrCat("max_", unit)] = samples.max();
  into[absl::StrCat("mad_", unit)] = samples.mad();
  into[absl::StrCat("mean_", unit)] = samples.mean();
}

class Writer {
 public:
  Writer(const SessionResult& result, const ResultContext& context)
      : result_(result),
        context_(context),
        unit_(context.unit),
        ns_per_unit_(NanosecondsPerUnit(context)) {}

  Json Write() const {
    Json file;
    file["context"] = Context();
    file["benchmarks"] = Json::array();
    for (const Row& row : result_.rows) AddIterations(row, file["benchmarks"]);
    file["worldswitch"] = Own();
    return file;
  }

 private:
  // 0: the unit is not a time.
  static double NanosecondsPerUnit(const ResultContext& context) {
    const Fingerprint& host = *context.fingerprint;
    if (context.unit != "ticks" || host.tsc_hz <= 0) return 0;
    return kNanosecondsPerSecond / host.tsc_hz;
  }

  double Time(double value) const {
    return ns_per_unit_ > 0 ? value * ns_per_unit_ : value;
  }

  bool ScalingEnabled() const {
    const std::vector<OnlineCpu>& cpus = context_.fingerprint->cpus;
    return std::any_of(cpus.begin(), cpus.end(), [](const OnlineCpu& cpu) {
      return cpu.governor != kNotReadable && cpu.governor != "performance";
    });
  }

  Json Context() const {
    Json json;
    json["date"] = context_.date;
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    json["host_name"] = host;
    json["executable"] = "worldswitch";
    json["num_cpus"] = context_.fingerprint->cpus.size();
    json["mhz_per_cpu"] =
        std::lround(context_.fingerprint->tsc_hz / kHertzPerMegahertz);
    json["cpu_scaling_enabled"] = ScalingEnabled();
    json["caches"] = Json::array();
#ifdef NDEBUG
    json["library_build_type"] = "release";
#else
    json["library_build_type"] = "debug";
#endif
    json["json_schema_version"] = 1;
    json["worldswitch_version"] = context_.version;
    json["backend"] = context_.backend;
    json["engine"] = context_.engine;
    json["unit"] = unit_;
    json["tsc_hz"] = context_.fingerprint->tsc_hz;
    json["tsc_source"] = context_.fingerprint->tsc_source;
    json["pinned_cpu"] = context_.options.cpu;
    json["fingerprint_hash"] = context_.fingerprint->hash;
    for (const Fact& fact : context_.fingerprint->facts) {
      json["fingerprint"][fact.name] = fact.value;
    }
    return json;
  }

  void AddIterations(const Row& row, Json& into) const {
    for (std::size_t i = 0; i < row.repetitions.size(); ++i) {
      const Summary summary = SummarizeRepetition(row, i);
      Json json;
      const std::string name =
          absl::StrCat(row.Name(), "/backend:", context_.backend);
      json["name"] = name;
      json["run_name"] = name;
      json["run_type"] = "iteration";
      json["repetitions"] = row.repetitions.size();
      json["repetition_index"] = i;
      json["threads"] = 1;
      json["iterations"] = summary.raw.count();
      json["real_time"] = Time(summary.raw.median());
      json["cpu_time"] = Time(summary.raw.median());
      json["time_unit"] = ns_per_unit_ > 0 ? "ns" : unit_;
      PutPercentiles(json, summary.raw, unit_);
      PutOptional(json, absl::StrCat("net_", unit_).c_str(), summary.net);
      json[absl::StrCat("control_", unit_)] = summary.control.median();
      PutOptional(json, absl::StrCat("batch_", unit_).c_str(), summary.batch);
      if (summary.legs.has_value()) {
        json[absl::StrCat("leg_exit_", unit_)] = summary.legs->exit;
        json[absl::StrCat("leg_handler_", unit_)] = summary.legs->handler;
        json[absl::StrCat("leg_entry_", unit_)] = summary.legs->entry;
      }
      json["exits_per_iteration"] = static_cast<double>(summary.exits) /
                                    static_cast<double>(summary.raw.count());
      json["contaminated"] = summary.contamination.samples;
      into.push_back(std::move(json));
    }
  }

  Json Own() const {
    Json own;
    own["repetitions_done"] = result_.repetitions_done;
    own["interrupted"] = result_.interrupted;
    own["samples_per_repetition"] = context_.options.samples;
    for (const auto& [name, value] : context_.options.knobs) {
      own["knobs"][name] = value;
    }
    if (result_.floor.has_value()) own["noise_floor"] = FloorJson();
    own["rows"] = Json::array();
    for (const Row& row : result_.rows) own["rows"].push_back(RowJson(row));
    return own;
  }

  Json FloorJson() const {
    const NoiseFloor& floor = *result_.floor;
    Json json;
    json["scenario"] = floor.scenario;
    json["samples_per_side"] = floor.samples;
    json[absl::StrCat("median_a_", unit_)] = floor.median_a;
    json[absl::StrCat("median_b_", unit_)] = floor.median_b;
    json["relative_difference"] = floor.relative;
    json["per_repetition"] = floor.per_repetition;
    return json;
  }

  Json RowJson(const Row& row) const {
    Json json;
    json["name"] = row.Name();
    json["scenario"] = row.scenario->name;
    if (row.mode.has_value()) json["mode"] = GuestModeName(*row.mode);
    json["verdict"] = VerdictName(row.verdict);
    if (!row.why.empty()) json["why"] = row.why;
    if (!row.evidence.empty()) json["evidence"] = row.evidence;
    if (!row.has_figures()) return json;
    for (const auto& [name, count] : row.per_iteration) {
      json["per_iteration"][name] = count;
    }
    const Summary summary = Summarize(row);
    json["samples"] = summary.raw.count();
    PutPercentiles(json, summary.raw, unit_);
    PutOptional(json, absl::StrCat("net_", unit_).c_str(), summary.net);
    json[absl::StrCat("resolution_", unit_)] = summary.resolution;
    PutPercentiles(json["control"], summary.control, unit_);
    PutOptional(json, absl::StrCat("batch_", unit_).c_str(), summary.batch);
    json["repetition_medians"] = summary.repetition_medians;
    if (summary.median_interval.has_value()) {
      json["median_95"] = {summary.median_interval->low,
                           summary.median_interval->high};
    }
    json["exits"] = summary.exits;
    if (summary.clock.samples > 0) json["clock"] = ClockJson(summary);
    if (summary.legs.has_value()) json["legs"] = LegsJson(summary);
    json["contamination"] = ContaminationJson(summary);
    json["unstable_warm_ups"] = summary.unstable_warm_ups;
    Json& histogram = json["histogram"] = Json::array();
    for (const HistogramEntry& entry : summary.raw.Histogram()) {
      histogram.push_back({entry.value, entry.count});
    }
    return json;
  }

  static Json ClockJson(const Summary& summary) {
    return {{"verdict", ClockVerdictName(summary.clock.verdict)},
            {"offset_low", summary.clock.low},
            {"offset_high", summary.clock.high},
            {"half_width", summary.clock.half_width}};
  }

  static Json LegsJson(const Summary& summary) {
    return {{"exit", summary.legs->exit},
            {"handler", summary.legs->handler},
            {"entry", summary.legs->entry},
            {"round_trip", summary.legs->round_trip},
            {"residual", Residual(*summary.legs)},
            {"negative", summary.negative_legs}};
  }

  static Json ContaminationJson(const Summary& summary) {
    const Contamination& found = summary.contamination;
    Json json = {{"samples", found.samples},
                 {"outliers", found.outliers},
                 {"outliers_flagged", found.outliers_flagged}};
    for (int bit = 0; bit < kSampleFlagCount; ++bit) {
      json[SampleFlagName(bit)] = found.by_flag[static_cast<std::size_t>(bit)];
    }
    return json;
  }

  const SessionResult& result_;
  const ResultContext& context_;
  std::string unit_;
  double ns_per_unit_;
};

}  // namespace

std::string ResultJson(const SessionResult& result,
                       const ResultContext& context) {
  constexpr int kIndent = 1;
  return Writer(result, context).Write().dump(kIndent) + "\n";
}

std::string RawCsv(const SessionResult& result) {
  std::string text = "row,repetition,index,g0,h1,h2,g3,cpu,exits,flags\n";
  for (const Row& row : result.rows) {
    for (std::size_t i = 0; i < row.repetitions.size(); ++i) {
      const Repetition& repetition = row.repetitions[i];
      for (std::size_t j = 0; j < repetition.samples.size(); ++j) {
        const Sample& sample = repetition.samples[j];
        absl::StrAppend(&text, row.Name(), ",", i, ",", j, ",", sample.g0);
        absl::StrAppend(&text, ",", sample.h1, ",", sample.h2, ",", sample.g3);
        absl::StrAppend(&text, ",", sample.cpu, ",", sample.exits, ",",
                        static_cast<unsigned>(repetition.flags[j]));
        text.push_back('\n');
      }
    }
  }
  return text;
}

}  // namespace worldswitch
