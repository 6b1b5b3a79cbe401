#include "native/log_writer.h"

#include "native/log_format.h"

namespace worldswitch::native {

void LogInfo(const char* key, const char* text) {
  console.Text(native_log::kInfo).Text(" ").Text(key).Text(" ").Text(text);
  console.End();
}

void LogInfo(const char* key, std::uint64_t value) {
  console.Text(native_log::kInfo).Text(" ").Text(key).Text(" ");
  console.Decimal(value).End();
}

void SampleLog::Add(const Sample& sample, bool has_legs) {
  Line line;
  line.has_legs = has_legs && sample.exits > 0;
  if (line.has_legs) {
    line.values[0] = sample.h1 - sample.g0;
    line.values[1] = sample.h2 - sample.h1;
    line.values[2] = sample.g3 - sample.h2;
    line.values[3] = sample.exits;
  } else {
    line.values[0] = RoundTrip(sample);
  }
  AddLine(line);
}

void SampleLog::AddControl(std::int64_t ticks) {
  Line line;
  line.is_control = true;
  line.values[0] = ticks;
  AddLine(line);
}

void SampleLog::AddLine(const Line& line) {
  if (count_ > 0 && line == last_) {
    ++count_;
    return;
  }
  Flush();
  last_ = line;
  count_ = 1;
}

void SampleLog::Flush() {
  if (count_ == 0) return;
  if (last_.is_control) {
    console.Text(native_log::kControl).Text(" ").Signed(last_.values[0]);
  } else if (last_.has_legs) {
    console.Text(native_log::kSample);
    for (const std::int64_t value : last_.values) {
      console.Text(" ").Signed(value);
    }
  } else {
    console.Text(native_log::kSample).Text(" - ").Signed(last_.values[0]);
    console.Text(" - 0");
  }
  if (count_ > 1) console.Text(" x").Decimal(count_);
  console.End();
  count_ = 0;
}

}  // namespace worldswitch::native
