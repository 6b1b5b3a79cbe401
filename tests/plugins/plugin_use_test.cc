// A plugin in use: the same backend as the built-in one, by its own vCPUs, and
// never gone while something of it is alive.

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/kvm/kvm_backend.h"
#include "backends/scripted/scripted_backend.h"
#include "core/host/plugin_catalogue.h"
#include "core/vcpu_loop.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guests/guests.h"
#include "tests/plugins/plugin_folder.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

class PluginUseTest : public ::testing::Test {
 protected:
  PluginUseTest() {
    EXPECT_TRUE(registry_.Add(KvmBackendFactory()).ok());
    EXPECT_TRUE(registry_.Add(ScriptedBackendFactory()).ok());
    registry_.SetSource(std::make_unique<PluginCatalogue>(
        PluginCatalogue::Options{.places = {{.path = folder_.path()}}}));
  }

  std::unique_ptr<Backend> Open(const std::string& text) {
    absl::StatusOr<BackendRegistry::Opened> opened = registry_.Open(text);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? std::move(opened->backend) : nullptr;
  }

  std::string Script() const {
    return folder_.AddFile("script",
                           "interrupts on\nout port=0x80 size=1 data=41\n"
                           "hlt times=3\n");
  }

  PluginFolder folder_;
  BackendRegistry registry_;
};

void ExpectSameKnobs(const KnobSet& plugin, const KnobSet& built_in) {
  ASSERT_EQ(plugin.all().size(), built_in.all().size());
  for (std::size_t i = 0; i < plugin.all().size(); ++i) {
    const Knob& a = plugin.all()[i];
    const Knob& b = built_in.all()[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.scope, b.scope) << a.name;
    EXPECT_EQ(a.type, b.type) << a.name;
    EXPECT_EQ(a.minimum, b.minimum) << a.name;
    EXPECT_EQ(a.maximum, b.maximum) << a.name;
    EXPECT_EQ(a.choices, b.choices) << a.name;
    EXPECT_EQ(a.unit, b.unit) << a.name;
    EXPECT_EQ(a.meaning, b.meaning) << a.name;
    EXPECT_EQ(a.default_value, b.default_value) << a.name;
    EXPECT_EQ(a.current_value, b.current_value) << a.name;
    EXPECT_EQ(a.applied_by, b.applied_by) << a.name;
    EXPECT_EQ(a.file, b.file) << a.name;
    EXPECT_EQ(a.not_settable, b.not_settable) << a.name;
  }
}

void ExpectSame(Backend& plugin, Backend& built_in) {
  EXPECT_EQ(plugin.engine(), built_in.engine());
  EXPECT_EQ(plugin.unit(), built_in.unit());
  const std::vector<Fact> facts = plugin.facts();
  ASSERT_EQ(facts.size(), built_in.facts().size());
  for (std::size_t i = 0; i < facts.size(); ++i) {
    EXPECT_EQ(facts[i].name, built_in.facts()[i].name);
    EXPECT_EQ(facts[i].value, built_in.facts()[i].value);
  }
  ExpectSameKnobs(plugin.knobs(), built_in.knobs());
}

// The file that the code of a vCPU's first op is in.
std::string FileOfCode(VcpuOps& vcpu) {
  const void* const* table = nullptr;
  std::memcpy(&table, static_cast<void*>(&vcpu), sizeof(table));
  Dl_info info = {};
  return dladdr(table[0], &info) != 0 ? info.dli_fname : "";
}

TEST_F(PluginUseTest, ScriptedIsTheSameBothWays) {
  folder_.AddOwn("scripted_plugin");
  const auto plugin = Open("scripted_plugin:script=" + Script());
  const auto built_in = Open("scripted:script=" + Script());
  ASSERT_TRUE(plugin && built_in);
  EXPECT_EQ(plugin->name(), "scripted_plugin");
  ExpectSame(*plugin, *built_in);
}

TEST_F(PluginUseTest, KvmIsTheSameBothWays) {
  if (const absl::Status usable = ProbeKvm(); !usable.ok()) {
    GTEST_SKIP() << usable;
  }
  folder_.AddOwn("kvm_plugin");
  const auto plugin = Open("kvm_plugin");
  const auto built_in = Open("kvm");
  ASSERT_TRUE(plugin && built_in);
  ExpectSame(*plugin, *built_in);
}

TEST_F(PluginUseTest, AProbeSaysWhatTheBuiltInOneSays) {
  folder_.AddOwn("kvm_plugin");
  absl::StatusOr<const BackendFactory*> plugin = registry_.Find("kvm_plugin");
  absl::StatusOr<const BackendFactory*> built_in = registry_.Find("kvm");
  ASSERT_TRUE(plugin.ok() && built_in.ok()) << plugin.status();
  EXPECT_EQ((*plugin)->probe(), (*built_in)->probe());
  EXPECT_EQ((*plugin)->is_machine, true);
  EXPECT_EQ((*plugin)->summary, (*built_in)->summary);
  EXPECT_EQ((*plugin)->parameters.size(), (*built_in)->parameters.size());
  EXPECT_EQ((*plugin)->origin, folder_.Path("kvm_plugin.so"));
}

// The one indirect call of an op leads into the plugin: nothing is in between.
TEST_F(PluginUseTest, AVcpuIsThePluginsOwn) {
  const std::string file = folder_.AddOwn("scripted_plugin");
  const auto plugin = Open("scripted_plugin:script=" + Script());
  const auto built_in = Open("scripted:script=" + Script());
  ASSERT_TRUE(plugin && built_in);
  auto vm = plugin->CreateVm({});
  ASSERT_TRUE(vm.ok()) << vm.status();
  EXPECT_EQ(FileOfCode((*vm)->vcpu(0)), file);
  auto other = built_in->CreateVm({});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(FileOfCode((*other)->vcpu(0)), file);
}

TEST_F(PluginUseTest, ErrorsComeThroughWithCodeAndText) {
  folder_.AddOwn("scripted_plugin");
  for (const std::string& parameters :
       {std::string(""), ":script=" + folder_.Path("none"),
        ":script=" + folder_.AddFile("bad", "frobnicate\n")}) {
    const absl::Status plugin =
        registry_.Open("scripted_plugin" + parameters).status();
    const absl::Status built_in =
        registry_.Open("scripted" + parameters).status();
    EXPECT_EQ(plugin.code(), built_in.code());
    EXPECT_EQ(std::string(plugin.message()),
              "backend \"scripted_plugin\"" +
                  std::string(built_in.message())
                      .substr(std::strlen("backend \"scripted\"")));
  }
  const auto backend = Open("scripted_plugin:script=" + Script());
  ASSERT_TRUE(backend);
  VmConfig config;
  config.knobs["colour"] = "red";
  const absl::Status refused = backend->CreateVm(config).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  config.knobs.clear();
  config.needs.vcpus = 0;
  const absl::Status none = backend->CreateVm(config).status();
  EXPECT_THAT(std::string(none.message()), HasSubstr("at least one vCPU"));
}

class CountingHandler final : public ExitHandler {
 public:
  LoopAction HandleExit(Exit& exit) override {
    exit.reason == ExitReason::kHlt ? ++hlts_ : ++others_;
    return LoopAction::kResume;
  }
  int hlts_ = 0;
  int others_ = 0;
};

// Each has statics, a signal's handler and thread-local data of its own.
TEST_F(PluginUseTest, APluginAndTheBuiltInOneRunSideBySide) {
  if (const absl::Status usable = ProbeKvm(); !usable.ok()) {
    GTEST_SKIP() << usable;
  }
  folder_.AddOwn("kvm_plugin");
  VmConfig config;
  config.needs.memory_bytes = WS_MEMORY_BYTES;
  std::vector<std::unique_ptr<Vm>> vms;
  for (const char* name : {"kvm", "kvm_plugin"}) {
    const auto backend = Open(name);
    ASSERT_TRUE(backend);
    auto vm = backend->CreateVm(config);
    ASSERT_TRUE(vm.ok()) << vm.status();
    // next: out %al, $WS_PORT_TEST; jmp next
    constexpr std::uint8_t kGuest[] = {0xe6, WS_PORT_TEST, 0xeb, 0xfc};
    ASSERT_EQ(LoadCode(**vm, 0, GuestMode::kReal, kGuest, sizeof(kGuest)),
              Result::kOk);
    vms.push_back(*std::move(vm));
  }
  for (int turn = 0; turn < 100; ++turn) {
    for (const std::unique_ptr<Vm>& vm : vms) {
      VcpuOps& vcpu = vm->vcpu(0);
      if (turn % 10 == 0) {
        // From another thread, whose token is neither's.
        std::thread([handle = vcpu.kick_handle()] { handle.Kick(); }).join();
        EXPECT_EQ(vcpu.run().reason, ExitReason::kInterrupted);
      }
      const Exit exit = vcpu.run();
      ASSERT_EQ(exit.reason, ExitReason::kIo);
      EXPECT_EQ(exit.io.port, WS_PORT_TEST);
    }
  }
}

bool IsMapped(const std::string& file) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(file) != std::string::npos) return true;
  }
  return false;
}

// There is no call that unloads a plugin; and whatever holds on to it may be
// the last thing to go.
TEST_F(PluginUseTest, ThePluginStaysWhileAnythingOfItLives) {
  const std::string file = folder_.AddOwn("scripted_plugin");
  KickHandle handle;
  {
    auto backend = Open("scripted_plugin:script=" + Script());
    ASSERT_TRUE(backend);
    auto vm = backend->CreateVm({});
    ASSERT_TRUE(vm.ok()) << vm.status();
    backend.reset();  // before its VM
    VcpuContext context;
    CountingHandler handler;
    const Exit last = vcpu_enter_guest<VcpuOps, ExitHandler>((*vm)->vcpu(0),
                                                             context, handler);
    EXPECT_EQ(last.reason, ExitReason::kError);  // the script's end
    EXPECT_EQ(handler.hlts_, 3);
    EXPECT_EQ(handler.others_, 1);
    handle = (*vm)->vcpu(0).kick_handle();
  }
  registry_.SetSource(nullptr);
  EXPECT_TRUE(IsMapped(file));
  handle.Kick();  // KICK.4: kicks nobody, by code of the plugin's
  handle = KickHandle();
  EXPECT_TRUE(IsMapped(file));
}

}  // namespace
}  // namespace worldswitch
