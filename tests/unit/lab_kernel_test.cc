// Kernels and modules for labs: taken out of a bzImage in every compression
// Debian uses, laid out in memory, ordered.

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lab/decompress.h"
#include "lab/kernel_image.h"
#include "lab/kernel_modules.h"
#include "lab/kernel_package.h"
#include "lab/memory_image.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kBase = 0x1000000;
constexpr std::uint64_t kSecond = kBase + 0x3000;
constexpr std::uint64_t kBss = 0x5000;

// An ELF file of two segments: "first", and "second" with zeros behind it.
std::string MakeElf() {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = EM_X86_64;
  header.e_entry = kBase + 0x10;
  header.e_phoff = sizeof(header);
  header.e_phnum = 3;
  Elf64_Phdr segments[3] = {};
  const std::uint64_t data = sizeof(header) + sizeof(segments);
  segments[0] = {PT_LOAD, PF_R | PF_X, data, 0, kBase, 5, 5, 0x1000};
  segments[1] = {PT_NOTE, PF_R, data, 0, 0, 5, 5, 4};
  segments[2] = {PT_LOAD, PF_R | PF_W, data + 5, 0, kSecond, 6, kBss, 0x1000};
  std::string elf(reinterpret_cast<const char*>(&header), sizeof(header));
  elf.append(reinterpret_cast<const char*>(segments), sizeof(segments));
  return elf + "firstsecond";
}

std::string Compress(const std::string& bytes, int filter) {
  std::string out(bytes.size() + 4096, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  EXPECT_EQ(archive_write_add_filter(writer, filter), ARCHIVE_OK);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

void PutWord(std::string* into, std::size_t offset, std::uint32_t value) {
  std::memcpy(&(*into)[offset], &value, sizeof(value));
}

// LZ4's legacy frame, as the kernel's build makes it: one block of literals.
std::string LegacyLz4(const std::string& bytes) {
  std::string block = {'\xf0'};
  std::size_t rest = bytes.size() - 15;
  for (; rest >= 255; rest -= 255) block.push_back('\xff');
  block.push_back(static_cast<char>(rest));
  block += bytes;
  std::string frame("\x02\x21\x4c\x18\0\0\0\0", 8);
  PutWord(&frame, 4, static_cast<std::uint32_t>(block.size()));
  return frame + block;
}

// A bzImage of one setup sector. size_behind: as after all but gzip.
std::string MakeBzImage(std::string payload, bool size_behind) {
  std::string image(2 * 512, '\0');
  image[0x1f1] = 1;
  image[0x201] = 0x6a;  // the header ends at 26Ch
  std::memcpy(&image[0x202], "HdrS", 4);
  image[0x206] = 0x0f;
  image[0x207] = 0x02;
  if (size_behind) payload.append(4, '\x77');
  PutWord(&image, 0x248, 0);
  PutWord(&image, 0x24c, static_cast<std::uint32_t>(payload.size()));
  PutWord(&image, 0x260, 0x20000);
  return image + payload;
}

void ExpectTheKernel(const absl::StatusOr<KernelImage>& kernel) {
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  EXPECT_EQ(kernel->base, kBase);
  EXPECT_EQ(kernel->entry, kBase + 0x10);
  EXPECT_EQ(kernel->end, kBase + 0x20000);
  ASSERT_EQ(kernel->memory.size(), kSecond + 6 - kBase);
  EXPECT_EQ(kernel->memory.substr(0, 6), std::string("first\0", 6));
  EXPECT_EQ(kernel->memory.substr(kSecond - kBase), "second");
  EXPECT_EQ(kernel->setup_header.size(), 0x202u + 0x6a - 0x1f1);
  EXPECT_EQ(kernel->setup_header.substr(0x202 - 0x1f1, 4), "HdrS");
}

TEST(ExtractKernelTest, FromEveryCompression) {
  const std::string elf = MakeElf();
  ExpectTheKernel(ExtractKernel(MakeBzImage(LegacyLz4(elf), true)));
  ExpectTheKernel(
      ExtractKernel(MakeBzImage(Compress(elf, ARCHIVE_FILTER_XZ), true)));
  ExpectTheKernel(
      ExtractKernel(MakeBzImage(Compress(elf, ARCHIVE_FILTER_ZSTD), true)));
  ExpectTheKernel(
      ExtractKernel(MakeBzImage(Compress(elf, ARCHIVE_FILTER_GZIP), false)));
}

TEST(ExtractKernelTest, RefusesWhatIsNone) {
  EXPECT_THAT(ExtractKernel("").status().message(),
              HasSubstr("no setup header"));
  EXPECT_THAT(ExtractKernel(std::string(4096, 'x')).status().message(),
              HasSubstr("no setup header"));
  const std::string good = MakeBzImage(LegacyLz4(MakeElf()), true);
  EXPECT_THAT(
      ExtractKernel(good.substr(0, good.size() - 10)).status().message(),
      HasSubstr("cut short"));
  EXPECT_THAT(
      ExtractKernel(MakeBzImage("not a kernel", true)).status().message(),
      HasSubstr("no 64-bit ELF"));
  std::string broken = Compress(MakeElf(), ARCHIVE_FILTER_XZ);
  broken[broken.size() / 2] ^= 0x55;
  EXPECT_FALSE(ExtractKernel(MakeBzImage(broken, true)).ok());
}

TEST(FlattenElfTest, RefusesSegmentsBeyondTheFile) {
  std::string elf = MakeElf();
  elf.resize(elf.size() - 3);
  EXPECT_THAT(FlattenElf(elf).status().message(), HasSubstr("cut short"));
}

TEST(DecompressTest, LeavesPlainBytesAlone) {
  EXPECT_EQ(*Decompress("plain"), "plain");
  EXPECT_EQ(*Decompress(""), "");
}

// ---- Memory ----

template <typename T>
T Get(const std::string& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, &bytes[offset], sizeof(value));
  return value;
}

class MemoryImageTest : public ::testing::Test {
 protected:
  MemoryImageTest()
      : kernel_(*ExtractKernel(MakeBzImage(LegacyLz4(MakeElf()), true))) {}
  KernelImage kernel_;
};

TEST_F(MemoryImageTest, TellsTheKernelWhereThingsAre) {
  const absl::StatusOr<MemoryImage> image =
      LayOutMemory(kernel_, "quiet", 123, 64 << 20);
  ASSERT_TRUE(image.ok()) << image.status();
  const std::string& params = image->boot_params;
  ASSERT_EQ(params.size(), 4096u);
  EXPECT_EQ(params.substr(0x202, 4), "HdrS");
  EXPECT_EQ(Get<std::uint32_t>(params, 0x218), image->initramfs_address);
  EXPECT_EQ(Get<std::uint32_t>(params, 0x21c), 123u);
  EXPECT_EQ(Get<std::uint32_t>(params, 0x228), kCommandLineAddress);
  EXPECT_GE(image->initramfs_address, kernel_.end);
  ASSERT_EQ(params[0x1e8], 3);
  // The last range of RAM ends where the memory does.
  EXPECT_EQ(Get<std::uint64_t>(params, 0x2d0 + 40) +
                Get<std::uint64_t>(params, 0x2d0 + 48),
            64u << 20);
}

TEST_F(MemoryImageTest, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(LayOutMemory(kernel_, "", 50 << 20, 64 << 20).ok());
  EXPECT_FALSE(
      LayOutMemory(kernel_, std::string(100000, 'x'), 1, 64 << 20).ok());
}

TEST_F(MemoryImageTest, TheFileSkipsWhatIsNoRam) {
  const absl::StatusOr<MemoryImage> image =
      LayOutMemory(kernel_, "quiet", 9, 64 << 20);
  ASSERT_TRUE(image.ok());
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  ASSERT_TRUE(WriteWholeFile(folder->File("initramfs"), "initramfs").ok());
  ASSERT_TRUE(WriteMemoryImage(*image, folder->File("initramfs"),
                               folder->File("memory"))
                  .ok());
  const std::string memory = *ReadWholeFile(folder->File("memory"));
  EXPECT_EQ(memory.substr(kCommandLineAddress, 6), std::string("quiet\0", 6));
  EXPECT_EQ(memory.substr(kBase - 0x60000, 5), "first");
  EXPECT_EQ(memory.substr(image->initramfs_address - 0x60000, 9), "initramfs");
}

TEST_F(MemoryImageTest, TheRomBeginsAtTheResetVector) {
  const absl::StatusOr<MemoryImage> image =
      LayOutMemory(kernel_, "quiet", 9, 64 << 20);
  const std::string rom = BootRom(*image);
  ASSERT_EQ(rom.size(), 0x10000u);
  EXPECT_EQ(static_cast<unsigned char>(rom[0xfff0]), 0xea);  // far jump
  EXPECT_EQ(Get<std::uint32_t>(rom, 0xf000), 64u << 20);
  EXPECT_EQ(Get<std::uint32_t>(rom, 0xf004), kBase + 0x10);
  EXPECT_EQ(Get<std::uint32_t>(rom, 0xf008), kBootParamsAddress);
}

// ---- Modules ----

std::string Module(const std::string& needs, const std::string& parameters) {
  std::string module = absl::StrCat("ELF", std::string(1, '\0'), "license=GPL",
                                    std::string(1, '\0'), "depends=", needs,
                                    std::string(1, '\0'));
  if (!parameters.empty()) {
    absl::StrAppend(&module, "parmtype=", parameters, std::string(1, '\0'));
  }
  return module;
}

TEST(KernelModulesTest, LoadsWhatIsNeededFirst) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  std::filesystem::create_directories(folder->File("arch/kvm"));
  ASSERT_TRUE(WriteWholeFile(folder->File("arch/kvm/kvm-amd.ko"),
                             Module("kvm,ccp-x", "npt:bool"))
                  .ok());
  ASSERT_TRUE(WriteWholeFile(folder->File("arch/kvm/kvm.ko.xz"),
                             Compress(Module("", ""), ARCHIVE_FILTER_XZ))
                  .ok());
  ASSERT_TRUE(WriteWholeFile(folder->File("ccp_x.ko"), Module("kvm", "")).ok());
  ASSERT_TRUE(WriteWholeFile(folder->File("readme.ko.txt"), "no").ok());
  const absl::StatusOr<KernelModules> modules =
      KernelModules::In(folder->path());
  ASSERT_TRUE(modules.ok()) << modules.status();
  const absl::StatusOr<std::vector<KernelModule>> order =
      modules->LoadOrder({"kvm_amd", "kvm"});
  ASSERT_TRUE(order.ok()) << order.status();
  std::vector<std::string> names;
  for (const KernelModule& module : *order) names.push_back(module.name);
  EXPECT_THAT(names, ElementsAre("kvm", "ccp_x", "kvm_amd"));
  EXPECT_EQ(order->front().bytes, Module("", ""));
  EXPECT_THAT(order->back().parameters, ElementsAre("npt"));
  EXPECT_THAT(modules->LoadOrder({"kvm_intel"}).status().message(),
              HasSubstr("no module kvm_intel"));
}

TEST(ModuleParameterTest, IsTakenApart) {
  const absl::StatusOr<ModuleParameter> parameter =
      ParseModuleParameter("kvm-amd.npt=0");
  ASSERT_TRUE(parameter.ok());
  EXPECT_EQ(parameter->module, "kvm_amd");
  EXPECT_EQ(parameter->name, "npt");
  EXPECT_EQ(parameter->value, "0");
  for (const char* wrong : {"", "kvm_amd", "kvm_amd.npt", "npt=0", ".npt=0",
                            "kvm_amd.=0", "kvm_amd.npt=", "kvm_amd.a=0 b=1"}) {
    EXPECT_THAT(ParseModuleParameter(wrong).status().message(),
                HasSubstr("MODULE.NAME=VALUE"))
        << wrong;
  }
}

TEST(ModuleParameterTest, OnlyThoseThatTheModuleHas) {
  KernelModule module;
  module.name = "kvm_amd";
  module.parameters = {"npt", "nested"};
  EXPECT_EQ(*ParametersFor(module, {{"kvm_amd", "npt", "0"},
                                    {"kvm", "halt_poll_ns", "0"},
                                    {"kvm_amd", "nested", "1"}}),
            "npt=0 nested=1");
  EXPECT_THAT(
      ParametersFor(module, {{"kvm_amd", "nptt", "0"}}).status().message(),
      HasSubstr("did you mean \"npt\"?"));
}

// ---- Where kernels come from ----

TEST(KernelFilesTest, TwoPathsWithPlusesInThem) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  const std::string kernel = folder->File("vmlinuz-6.12+deb12");
  const std::string modules = folder->File("mod+ules");
  ASSERT_TRUE(WriteWholeFile(kernel, "k").ok());
  std::filesystem::create_directories(modules);
  const absl::StatusOr<KernelFiles> files =
      ParseKernelFiles(kernel + "+" + modules);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->vmlinuz, kernel);
  EXPECT_EQ(files->modules, modules);
  EXPECT_THAT(ParseKernelFiles("/no/such+/dir").status().message(),
              HasSubstr("there is no kernel /no/such"));
  EXPECT_THAT(ParseKernelFiles(kernel + "+/no/such").status().message(),
              HasSubstr("no directory of modules /no/such"));
  EXPECT_THAT(ParseKernelFiles("vmlinuz").status().message(),
              HasSubstr("VMLINUZ+MODULES"));
}

TEST(LabCacheDirectoryTest, InTheBuildTreeWhereThereIsOne) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  const std::string preset = folder->File("build/release");
  std::filesystem::create_directories(preset + "/bin");
  const std::string program = preset + "/bin/worldswitch";
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(LabCacheDirectory(program), "/cache/worldswitch/lab");
  ASSERT_TRUE(WriteWholeFile(preset + "/CMakeCache.txt", "").ok());
  EXPECT_EQ(LabCacheDirectory(program), folder->File("build/lab"));
}

TEST(FetchKernelTest, RefusesWhatIsNoPackage) {
  const StopFlag stop = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(
      FetchKernel(
          "6.1; reboot", "/nowhere", [](const std::string&) {}, stop)
          .status()));
}

}  // namespace
}  // namespace worldswitch
