#include "core/host/plugin_note.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

// More program headers, or a longer segment of notes, than any linker makes.
constexpr unsigned kMostHeaders = 1024;
constexpr std::uint64_t kMostNoteBytes = 1 << 20;

absl::Status Refused(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", why));
}

// A file that is only read.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path)
      // A FIFO must not hang us.
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;
  ~ElfFile() {
    if (fd_ >= 0) close(fd_);
  }

  bool is_open() const { return fd_ >= 0; }
  bool IsRegular() const {
    struct stat found = {};
    return fstat(fd_, &found) == 0 && S_ISREG(found.st_mode);
  }
  // False: the file does not have all of it.
  bool Read(std::uint64_t offset, void* to, std::size_t size) const {
    auto* bytes = static_cast<char*>(to);
    while (size > 0) {
      const ssize_t got = pread(fd_, bytes, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      bytes += got;
      offset += static_cast<std::uint64_t>(got);
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  const int fd_;
};

std::size_t Padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// Adds those of our owner and type. False: the segment is not one of notes.
bool CollectNotes(const std::vector<char>& segment,
                  std::vector<PluginNote>* notes) {
  std::size_t at = 0;
  while (segment.size() - at >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr header;
    std::memcpy(&header, segment.data() + at, sizeof(header));
    at += sizeof(header);
    const std::size_t owner = at;
    if (header.n_namesz > segment.size() - at) return false;
    const std::size_t descriptor = at + Padded(header.n_namesz);
    if (descriptor > segment.size() ||
        header.n_descsz > segment.size() - descriptor) {
      return false;
    }
    if (header.n_type == kPluginNoteType &&
        header.n_namesz == sizeof(kPluginNoteOwner) &&
        std::memcmp(segment.data() + owner, kPluginNoteOwner,
                    sizeof(kPluginNoteOwner)) == 0) {
      PluginNote note = {};
      std::memcpy(&note, segment.data() + descriptor,
                  std::min<std::size_t>(sizeof(note), header.n_descsz));
      notes->push_back(note);
    }
    at = std::min(descriptor + Padded(header.n_descsz), segment.size());
  }
  return true;
}

std::optional<std::string> WhyNotLoadable(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "is not ELF";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
    return "is ELF, but not for x86-64";
  }
  if (header.e_type != ET_DYN) return "is ELF, but not a shared object";
  if (header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMostHeaders) {
    return "is ELF with program headers that make no sense";
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<PluginNote> ReadPluginNote(const std::string& path) {
  const ElfFile file(path);
  if (!file.is_open()) {
    return ErrnoStatus(errno, absl::StrCat("opening the plugin ", path),
                       "give the path of a plugin that is there and readable");
  }
  if (!file.IsRegular()) return Refused(path, "is not a regular file");
  Elf64_Ehdr header = {};
  if (!file.Read(0, &header, sizeof(header))) {
    return Refused(path, "is not ELF: too short");
  }
  if (const auto why = WhyNotLoadable(header)) return Refused(path, *why);
  std::vector<PluginNote> notes;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment = {};
    if (!file.Read(header.e_phoff + i * sizeof(segment), &segment,
                   sizeof(segment))) {
      return Refused(path, "is cut off: its program headers are not there");
    }
    if (segment.p_type != PT_NOTE) continue;
    if (segment.p_filesz > kMostNoteBytes) {
      return Refused(path, "has more notes than any linker makes");
    }
    std::vector<char> bytes(segment.p_filesz);
    if (!file.Read(segment.p_offset, bytes.data(), bytes.size())) {
      return Refused(path, "is cut off: its notes are not there");
    }
    // Segments of 8-byte alignment are the linker's own (gABI properties).
    if (segment.p_align > 4) continue;
    if (!CollectNotes(bytes, &notes)) {
      return Refused(path, "has notes that make no sense");
    }
  }
  if (notes.empty()) {
    return Refused(path,
                   "is no plugin: it has no note of Worldswitch "
                   "(WORLDSWITCH_BACKEND_PLUGIN in core/plugin.h writes it)");
  }
  if (notes.size() > 1) {
    return Refused(path,
                   "has two notes of Worldswitch: WORLDSWITCH_BACKEND_PLUGIN "
                   "belongs into one file");
  }
  return notes.front();
}

bool IsBackendName(const std::string& name) {
  if (name.empty() || name.size() >= kPluginNameSize || name == "auto" ||
      name.front() < 'a' || name.front() > 'z') {
    return false;
  }
  for (const char c : name) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') return false;
  }
  return true;
}

absl::Status CheckPluginNote(const PluginNote& note) {
  constexpr PluginNote kOurs = MakePluginNote();
  constexpr char kRebuild[] =
      "; build the plugin against the headers of this version";
  if (note.abi_version != kOurs.abi_version) {
    return absl::FailedPreconditionError(
        absl::StrCat("its ABI is version ", note.abi_version,
                     ", this program's is ", kOurs.abi_version, kRebuild));
  }
  const struct {
    const char* name;
    std::uint32_t theirs;
    std::uint32_t ours;
  } sizes[] = {
      {"PluginNote", note.note_size, kOurs.note_size},
      {"PluginTable", note.table_size, kOurs.table_size},
      {"PluginBackendOps", note.backend_ops_size, kOurs.backend_ops_size},
      {"PluginHost", note.host_size, kOurs.host_size},
      {"PluginVmConfig", note.vm_config_size, kOurs.vm_config_size},
      {"PluginKnob", note.knob_size, kOurs.knob_size},
      {"Exit", note.exit_size, kOurs.exit_size},
      {"Event", note.event_size, kOurs.event_size},
      {"RegisterFile", note.register_file_size, kOurs.register_file_size},
  };
  for (const auto& size : sizes) {
    if (size.theirs == size.ours) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("its ", size.name, " has ", size.theirs,
                     " bytes, this program's has ", size.ours, kRebuild));
  }
  const std::string name(note.name, strnlen(note.name, kPluginNameSize));
  if (!IsBackendName(name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("its note names it \"", absl::CHexEscape(name),
                     "\"; a backend's name has letters a to z, digits and '_', "
                     "begins with a letter, is not \"auto\", and has at most ",
                     kPluginNameSize - 1, " characters"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> PluginNameOf(const std::string& path) {
  absl::StatusOr<PluginNote> note = ReadPluginNote(path);
  if (!note.ok()) return note.status();
  if (absl::Status checked = CheckPluginNote(*note); !checked.ok()) {
    return Refused(path, std::string(checked.message()));
  }
  return std::string(note->name);
}

}  // namespace worldswitch
