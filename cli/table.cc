#include "cli/table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "bench/summary.h"
#include "cli/backends.h"
#include "core/host/distortions.h"
#include "core/host/wrap.h"

namespace worldswitch {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kHertzPerMegahertz = 1e6;
constexpr double kPercent = 100;
constexpr char kAbsent[] = "-";

constexpr char kBold[] = "\033[1m";
constexpr char kDim[] = "\033[2m";
constexpr char kGreen[] = "\033[32m";
constexpr char kYellow[] = "\033[33m";
constexpr char kRed[] = "\033[31m";
constexpr char kPlain[] = "\033[0m";

std::string Number(const std::optional<double>& value) {
  if (!value.has_value()) return kAbsent;
  return absl::StrCat(std::llround(*value));
}

// The same in at most `width` places: from there on in thousands or millions.
std::string Fitting(const std::optional<double>& value, std::size_t width) {
  std::string text = Number(value);
  if (text.size() <= width) return text;
  text = absl::StrFormat("%.0fk", *value / 1e3);
  return text.size() <= width ? text : absl::StrFormat("%.0fM", *value / 1e6);
}

class Painter {
 public:
  explicit Painter(bool color) : color_(color) {}
  std::string operator()(const char* style, const std::string& text) const {
    return color_ ? absl::StrCat(style, text, kPlain) : text;
  }
  const char* StyleOf(Verdict verdict) const {
    switch (verdict) {
      case Verdict::kProven:
        return kGreen;
      case Verdict::kNoExit:
      case Verdict::kUnproven:
        return kYellow;
      case Verdict::kHangs:
        return kRed;
      default:
        return kDim;
    }
  }

 private:
  bool color_;
};

class Body {
 public:
  Body(const SessionResult& result, const TableContext& context)
      : result_(result), context_(context), paint_(context.color) {
    for (const Row& row : result.rows) {
      summaries_.push_back(row.has_figures() ? std::optional(Summarize(row))
                                             : std::nullopt);
    }
  }

  std::string Text() {
    AddRows();
    AddLegs();
    AddTrust();
    return text_;
  }

 private:
  static bool ByArchitecture(const Row& row) {
    return row.mode.has_value() &&
           WhyNotInMode(*row.scenario, *row.mode) != nullptr;
  }

  static std::string ModeOf(const Row& row) {
    return row.mode.has_value() ? GuestModeName(*row.mode) : "host";
  }

  void AddRows() {
    absl::StrAppend(
        &text_,
        paint_(kBold,
               absl::StrFormat("%-31s %-5s %-8s %7s %7s %5s %7s %7s %7s %7s",
                               "scenario", "mode", "verdict", "net", "p50",
                               "mad", "p90", "p99", "p99.9", "batch")),
        "\n");
    std::map<std::string, std::vector<std::string>> elsewhere;
    for (std::size_t i = 0; i < result_.rows.size(); ++i) {
      const Row& row = result_.rows[i];
      if (ByArchitecture(row)) {
        elsewhere[absl::StrCat("not in ", ModeOf(row), " (", row.why, ")")]
            .push_back(row.scenario->name);
        continue;
      }
      if (row.verdict == Verdict::kPending) continue;
      AddRow(row, summaries_[i]);
    }
    for (const auto& [why, names] : elsewhere) {
      absl::StrAppend(
          &text_, Wrap(absl::StrCat(why, ": ", absl::StrJoin(names, ", ")), 2));
    }
  }

  void AddRow(const Row& row, const std::optional<Summary>& known) {
    const std::string head =
        absl::StrFormat("%-31s %-5s ", row.scenario->name, ModeOf(row));
    const std::string verdict = VerdictName(row.verdict);
    if (!known.has_value()) {
      const std::string text = Wrap(
          absl::StrCat(head, verdict, row.why.empty() ? "" : ": ", row.why),
          head.size());
      absl::StrAppend(&text_, paint_(paint_.StyleOf(row.verdict), text));
      return;
    }
    const Summary& summary = *known;
    const Distribution& raw = summary.raw;
    absl::StrAppend(
        &text_, head,
        paint_(paint_.StyleOf(row.verdict), absl::StrFormat("%-8s", verdict)),
        absl::StrFormat(
            " %7s %7s %5s %7s %7s %7s %7s\n",
            summary.net.has_value() || summary.control.count() == 0
                ? Fitting(summary.net, 7)
                : "<res",
            Fitting(raw.median(), 7), Fitting(raw.mad(), 5),
            Fitting(raw.Percentile(0.9), 7), Fitting(raw.Percentile(0.99), 7),
            Fitting(raw.Percentile(0.999), 7), Fitting(summary.batch, 7)));
    const std::uint64_t asked =
        std::uint64_t{context_.options.samples} * result_.repetitions_done;
    if (raw.count() < asked) {
      fewer_.emplace_back(raw.count(), row.Name());
    }
    if (row.verdict == Verdict::kUnproven && !row.why.empty()) {
      absl::StrAppend(&text_, std::string(head.size(), ' '),
                      Wrap(absl::StrCat("because ", row.why), head.size()));
    }
  }

  void AddLegs() {
    bool any = false;
    for (std::size_t i = 0; i < result_.rows.size(); ++i) {
      if (!summaries_[i].has_value()) continue;
      const Row& row = result_.rows[i];
      const Summary& summary = *summaries_[i];
      if (!summary.legs.has_value()) continue;
      if (!any) {
        any = true;
        absl::StrAppend(
            &text_, "\n",
            paint_(kBold,
                   absl::StrFormat("%-31s %-5s %8s %8s %8s %10s %9s %9s",
                                   "legs "
                                   "(medians)",
                                   "mode", "exit", "handler", "entry",
                                   "round trip", "residual", "clock +-")),
            "\n");
      }
      const Legs& legs = *summary.legs;
      absl::StrAppendFormat(&text_, "%-31s %-5s %8d %8d %8d %10d %9d %9d",
                            row.scenario->name, ModeOf(row), legs.exit,
                            legs.handler, legs.entry, legs.round_trip,
                            Residual(legs), summary.clock.half_width);
      if (summary.negative_legs > 0) {
        absl::StrAppend(&text_, "  ", summary.negative_legs, " negative!");
      }
      text_.push_back('\n');
    }
    for (std::size_t i = 0; i < result_.rows.size(); ++i) {
      if (!summaries_[i].has_value()) continue;
      const Row& row = result_.rows[i];
      const ClockReport& clock = summaries_[i]->clock;
      if (clock.verdict == ClockVerdict::kOffset ||
          clock.verdict == ClockVerdict::kInconsistent) {
        absl::StrAppend(
            &text_, Wrap(absl::StrCat(row.Name(),
                                      ": no legs, the guest's clock is not "
                                      "the host's (",
                                      ClockVerdictName(clock.verdict),
                                      ", offset between ", clock.low, " and ",
                                      clock.high, ")"),
                         2));
      }
    }
  }

  void AddTrust() {
    text_.push_back('\n');
    if (result_.floor.has_value()) {
      const NoiseFloor& floor = *result_.floor;
      absl::StrAppend(
          &text_,
          Wrap(absl::StrFormat(
                   "A/A noise floor: %.2f %% (two identical VMs in turns, %s, "
                   "medians %.0f and %.0f of %d samples each): a smaller "
                   "difference within this run means nothing.",
                   floor.relative * kPercent, floor.scenario, floor.median_a,
                   floor.median_b, floor.samples),
               2));
    }
    AddContamination();
    AddFewer();
    absl::StrAppend(
        &text_,
        Wrap("net: median minus the median of the same loop "
             "without the instruction ('<res': within what that loop itself "
             "varies). p50 to p99.9: raw round trips, left out with fewer than "
             "10 samples beyond. mad: median absolute deviation. batch: net of "
             "an iteration without stamps. All figures are in " +
                 context_.unit + ".",
             2),
        Wrap("proven: the exit was seen, or the engine counted it, once an "
             "iteration. no exit: shown not to have left the guest. More: "
             "'worldswitch list', and --json for min, max, histograms, "
             "evidence.",
             2));
    if (result_.interrupted) {
      absl::StrAppend(&text_, "Interrupted after ", result_.repetitions_done,
                      " of ", context_.options.repetitions,
                      " repetitions: the rows have fewer samples.\n");
    }
  }

  // The rows with fewer samples than were asked for.
  void AddFewer() {
    constexpr std::size_t kNamed = 10;
    if (fewer_.empty()) return;
    std::sort(fewer_.begin(), fewer_.end());
    std::vector<std::string> named;
    for (const auto& [count, name] : fewer_) {
      if (named.size() == kNamed) break;
      named.push_back(absl::StrCat(name, " ", count));
    }
    const std::size_t unnamed = fewer_.size() - named.size();
    absl::StrAppend(
        &text_,
        Wrap(absl::StrCat(
                 "Slow, so with fewer samples: ", absl::StrJoin(named, ", "),
                 unnamed == 0 ? "."
                              : absl::StrCat("; and ", unnamed,
                                             " others with more than these.")),
             2));
  }

  void AddContamination() {
    Contamination all;
    std::uint64_t samples = 0;
    std::uint64_t unstable = 0;
    for (const std::optional<Summary>& known : summaries_) {
      if (!known.has_value()) continue;
      const Summary& summary = *known;
      samples += summary.raw.count();
      all.samples += summary.contamination.samples;
      all.outliers += summary.contamination.outliers;
      all.outliers_flagged += summary.contamination.outliers_flagged;
      unstable += summary.unstable_warm_ups;
      for (std::size_t bit = 0; bit < kSampleFlagCount; ++bit) {
        all.by_flag[bit] += summary.contamination.by_flag[bit];
      }
    }
    if (samples == 0) return;
    std::vector<std::string> sources;
    for (int bit = 0; bit < kSampleFlagCount; ++bit) {
      const std::uint64_t count = all.by_flag[static_cast<std::size_t>(bit)];
      if (count > 0) {
        sources.push_back(absl::StrCat(SampleFlagName(bit), " ", count));
      }
    }
    absl::StrAppend(
        &text_,
        Wrap(absl::StrCat(
                 "Contaminated, counted and kept: ", all.samples, " of ",
                 samples, " samples", sources.empty() ? "" : " (",
                 absl::StrJoin(sources, ", "), sources.empty() ? "" : ")",
                 "; of ", all.outliers, " severe outliers ",
                 all.outliers_flagged, " are among them."),
             2));
    if (unstable > 0) {
      absl::StrAppend(&text_, "Warm-ups that never became stable: ", unstable,
                      ".\n");
    }
  }

  const SessionResult& result_;
  const TableContext& context_;
  Painter paint_;
  std::vector<std::optional<Summary>> summaries_;  // of result_.rows, in order
  std::string text_;
  // How many samples, of rows with fewer than asked for.
  std::vector<std::pair<std::uint64_t, std::string>> fewer_;
};

}  // namespace

namespace {

// The emulated host, and what makes its paths differ from other CPUs'.
std::string Lab(const Fingerprint& host) {
  return absl::StrCat(
      Wrap(absl::StrCat(
               "lab:  ", host.ValueOf("lab.emulator"), ", CPU model ",
               host.ValueOf("lab.cpu_model"), ", ", host.ValueOf("lab.kernel"),
               ", mitigations ", host.ValueOf("lab.mitigations"),
               ", module parameters: ", host.ValueOf("lab.module_parameters")),
           6),
      Wrap(absl::StrCat("has:  ", host.ValueOf("lab.features_present")), 6),
      Wrap(absl::StrCat("lacks: ", host.ValueOf("lab.features_absent"),
                        ": a CPU that has them takes other paths"),
           7));
}

}  // namespace

std::string TableHead(const TableContext& context) {
  const Fingerprint& host = *context.fingerprint;
  const Painter paint(context.color);
  std::string text =
      paint(kBold, absl::StrCat("worldswitch ", context.version, ", backend ",
                                context.backend, ", engine ", context.engine));
  absl::StrAppend(&text, "\n",
                  Wrap(absl::StrCat("engine: ", context.engine, " is ",
                                    EngineMeaning(context.engine)),
                       8));
  absl::StrAppend(
      &text, Wrap(absl::StrCat("host: ", host.ValueOf("cpu.model_name"), ", ",
                               host.cpus.size(), " CPUs, Linux ",
                               host.ValueOf("kernel.release"), ", fingerprint ",
                               host.hash),
                  6));
  if (context.unit == "ticks" && host.tsc_hz > 0) {
    absl::StrAppend(
        &text,
        Wrap(absl::StrFormat("unit: TSC ticks of %.3f ns (%.1f MHz, %s)",
                             kNanosecondsPerSecond / host.tsc_hz,
                             host.tsc_hz / kHertzPerMegahertz, host.tsc_source),
             6));
  } else {
    absl::StrAppend(&text, "unit: ", context.unit, "\n");
  }
  if (!host.ValueOf("lab.emulator").empty()) absl::StrAppend(&text, Lab(host));
  absl::StrAppendFormat(&text,
                        "run:  %d repetitions of %d samples, a new VM each, "
                        "interleaved; pinned to CPU %d\n",
                        context.options.repetitions, context.options.samples,
                        context.options.cpu);
  if (context.options.seconds > 0) {
    absl::StrAppendFormat(&text,
                          "time: about %.0f s in all (--seconds); slow exits "
                          "get fewer samples\n",
                          context.options.seconds);
  }
  for (const auto& [name, value] : context.options.knobs) {
    absl::StrAppend(&text, "knob: ", name, "=", value, "\n");
  }
  for (const Distortion& distortion :
       FindDistortions(host, static_cast<int>(context.options.cpu))) {
    absl::StrAppend(&text, Wrap(absl::StrCat("distorted: ", distortion.why,
                                             " (", distortion.remedy, ")"),
                                11));
  }
  text.push_back('\n');
  return text;
}

std::string TableBody(const SessionResult& result,
                      const TableContext& context) {
  return Body(result, context).Text();
}

}  // namespace worldswitch
