// The image's first function: sets the machine up, finds the vendor, does what
// the command line says.

#include <cstdint>

#include "backends/native/native_backend.h"
#include "native/boot_information.h"
#include "native/checks.h"
#include "native/console.h"
#include "native/cpu.h"
#include "native/image_host.h"
#include "native/interrupts.h"
#include "native/log_format.h"
#include "native/machine_end.h"

namespace worldswitch::native {
namespace {

constinit BootInformation boot_information;

void Info(const char* key, const char* text) {
  console.Text(native_log::kInfo).Text(" ").Text(key).Text(" ").Text(text);
  console.End();
}

class ConsoleReport final : public ReportSink {
 public:
  void Fact(const char* key, const char* text) override { Info(key, text); }
};

// 12 characters of CPUID's leaf 0.
class VendorText {
 public:
  VendorText() {
    const CpuidLeaf leaf = Cpuid(0);
    const std::uint32_t parts[] = {leaf.ebx, leaf.edx, leaf.ecx};
    __builtin_memcpy(text_, parts, sizeof(parts));
  }
  const char* c_str() const { return text_; }

 private:
  char text_[13] = "";
};

// Null: neither; says why.
NativeBackend* FindBackend() {
  NativeBackend* const both[] = {&NativeVmxBackend(), &NativeSvmBackend()};
  for (NativeBackend* backend : both) {
    const char* why = "";
    if (backend->Supported(&why)) return backend;
    console.Text(backend->name()).Text(": ").Text(why).End();
  }
  return nullptr;
}

[[noreturn]] void Main(std::uint32_t magic, std::uint32_t information) {
  console.Open();
  SetUpInterrupts();
  console.End().Text(native_log::kBegin).Text(" ");
  console.Decimal(native_log::kVersion).End();
  if (!boot_information.Read(magic, information)) {
    console.Text("not booted by a multiboot loader: eax was ").Hex(magic).End();
    EndMachine(native_log::kDoneUsage);
  }
  SetShutdownPort(boot_information.own_rom());
  SetUpMemory(boot_information);
  Info("vendor", VendorText().c_str());
  NativeBackend* backend = FindBackend();
  if (backend == nullptr) EndMachine(native_log::kDoneNoEngine);
  Info("backend", backend->name());
  const char* why = "";
  if (!backend->Enable(kImageHost, &why)) {
    console.Text(backend->name()).Text(": ").Text(why).End();
    EndMachine(native_log::kDoneNoEngine);
  }
  ConsoleReport report;
  backend->Report(report);
  backend->Disable();
  EndMachine(native_log::kDoneOk);
}

}  // namespace
}  // namespace worldswitch::native

extern "C" [[noreturn]] void ws_main(std::uint32_t magic,
                                     std::uint32_t information);
void ws_main(std::uint32_t magic, std::uint32_t information) {
  worldswitch::native::Main(magic, information);
}
