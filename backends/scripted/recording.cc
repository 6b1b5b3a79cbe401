#include "backends/scripted/recording.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"
#include "core/recording_event.h"
#include "core/recording_exit.h"
#include "core/recording_registers.h"

namespace worldswitch {
namespace {

// More than any VM of ours has, so that a rubbish number allocates nothing.
constexpr std::uint32_t kMostVcpus = 4096;

absl::Status Bad(std::size_t at, const std::string& what) {
  return absl::DataLossError(absl::StrCat("at byte ", at, ": ", what));
}

std::string Name(const char (&field)[32]) {
  return {field, strnlen(field, sizeof(field))};
}

// Takes pieces off the front of the file.
class Bytes {
 public:
  explicit Bytes(const std::string& all) : all_(all) {}
  std::size_t at() const { return at_; }
  bool is_at_end() const { return at_ == all_.size(); }
  // False: it is cut off.
  template <typename T>
  bool Take(T* value) {
    if (all_.size() - at_ < sizeof(T)) return false;
    std::memcpy(value, all_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }
  bool Skip(std::size_t count, const std::uint8_t** bytes) {
    if (all_.size() - at_ < count) return false;
    *bytes = reinterpret_cast<const std::uint8_t*>(all_.data()) + at_;
    at_ += count;
    return true;
  }

 private:
  const std::string& all_;
  std::size_t at_ = 0;
};

bool IsEventSound(const RecordedEvent& event, RegisterWords* words,
                  RegisterFile* file, LentData* lent) {
  Exit exit;
  switch (event.op) {
    case RecordedOp::kDirty:
    case RecordedOp::kCached:
      return words->Unpack(event, file);
    case RecordedOp::kRun:
      return UnpackExit(event, lent, &exit);
    case RecordedOp::kHandleExit:
      return event.answer <= static_cast<int>(Disposition::kToCaller);
    case RecordedOp::kInject:
      return event.event.kind <= EventKind::kException &&
             event.answer <= static_cast<int>(InjectResult::kError);
    case RecordedOp::kFetch:
    case RecordedOp::kCommit:
      return event.answer <= static_cast<int>(Result::kError);
    default:
      return event.op > RecordedOp::kEnd && event.op < RecordedOp::kCount;
  }
}

// Reads through all events of a vCPU once.
absl::Status CheckEvents(const Recording::VcpuEvents& vcpu) {
  EventReader reader(vcpu.bytes.data(), vcpu.bytes.size());
  // Some 8 KiB each.
  const auto event = std::make_unique<RecordedEvent>();
  const auto lent = std::make_unique<LentData>();
  RegisterWords words;
  RegisterFile file = {};
  std::uint64_t events = 0;
  while (!reader.is_at_end()) {
    *event = RecordedEvent();
    TransferEvent(reader, *event);
    if (!reader.ok() || !IsEventSound(*event, &words, &file, lent.get())) {
      return absl::DataLossError(absl::StrCat("event ", events, " is none"));
    }
    ++events;
  }
  if (events == vcpu.events) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "there are ", events, " events where the chunks say ", vcpu.events));
}

absl::Status TakeChunk(Bytes& bytes, Recording* recording) {
  const std::size_t at = bytes.at();
  RecordingChunk chunk = {};
  const std::uint8_t* data = nullptr;
  if (!bytes.Take(&chunk)) return Bad(at, "a chunk is cut off");
  if (chunk.bytes > kMostRecordingChunk) return Bad(at, "a chunk too long");
  if (!bytes.Skip(chunk.bytes, &data)) return Bad(at, "a chunk is cut off");
  std::vector<Recording::RecordedVm>& vms = recording->vms;
  if (chunk.vcpu == kRecordingVmChunk) {
    Recording::RecordedVm vm;
    if (chunk.vm != vms.size() || chunk.bytes != sizeof(vm.about)) {
      return Bad(at, "a VM out of its order");
    }
    std::memcpy(&vm.about, data, sizeof(vm.about));
    if (vm.about.vcpus == 0 || vm.about.vcpus > kMostVcpus) {
      return Bad(at, absl::StrCat("a VM of ", vm.about.vcpus, " vCPUs"));
    }
    vm.vcpus.resize(vm.about.vcpus);
    vms.push_back(std::move(vm));
    return absl::OkStatus();
  }
  if (chunk.vm >= vms.size() || chunk.vcpu >= vms[chunk.vm].vcpus.size()) {
    return Bad(at, "events of a vCPU that there is not");
  }
  Recording::VcpuEvents& vcpu = vms[chunk.vm].vcpus[chunk.vcpu];
  vcpu.bytes.insert(vcpu.bytes.end(), data, data + chunk.bytes);
  vcpu.events += chunk.events;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Recording> ParseRecording(const std::string& text) {
  Bytes bytes(text);
  RecordingHeader header = {};
  if (!bytes.Take(&header) || std::memcmp(header.magic, kRecordingMagic,
                                          sizeof(kRecordingMagic)) != 0) {
    return absl::DataLossError("it is no recording");
  }
  if (header.version != kRecordingVersion ||
      header.header_bytes != sizeof(header)) {
    return absl::DataLossError(
        absl::StrCat("it is a recording of version ", header.version,
                     "; this program reads version ", kRecordingVersion));
  }
  Recording recording;
  recording.backend = Name(header.backend);
  recording.engine = Name(header.engine);
  recording.flags = header.flags;
  while (!bytes.is_at_end()) {
    absl::Status taken = TakeChunk(bytes, &recording);
    if (!taken.ok()) return taken;
  }
  for (std::size_t vm = 0; vm < recording.vms.size(); ++vm) {
    for (std::size_t i = 0; i < recording.vms[vm].vcpus.size(); ++i) {
      absl::Status checked = CheckEvents(recording.vms[vm].vcpus[i]);
      if (checked.ok()) continue;
      return absl::DataLossError(
          absl::StrCat("VM ", vm, ", vCPU ", i, ": ", checked.message()));
    }
  }
  return recording;
}

absl::StatusOr<Recording> ReadRecording(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (!file.is_open() || file.bad()) {
    return ErrnoStatus(errno, absl::StrCat("reading the recording ", path),
                       "name one that is there: recording=FILE");
  }
  absl::StatusOr<Recording> recording = ParseRecording(bytes);
  if (recording.ok()) return recording;
  return absl::Status(
      recording.status().code(),
      absl::StrCat("the recording ", path, ": ", recording.status().message()));
}

}  // namespace worldswitch
