// What the tests on the real /dev/kvm share: a VM with a guest in 64-bit mode,
// guests written in assembly, and a watchdog.
//
// Every guest runs in ring 0 with general registers only, its memory mapped one
// to one up to 1 GiB; above its 2 MiB of memory everything is MMIO.

#ifndef WORLDSWITCH_TESTS_SYSTEM_KVM_FIXTURE_H_
#define WORLDSWITCH_TESTS_SYSTEM_KVM_FIXTURE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backends/kvm/kvm_backend.h"
#include "backends/kvm/kvm_vm.h"
#include "gtest/gtest.h"

// A guest: GUEST(Name, "assembly") makes Name##Code(), its bytes.
#define WS_GUEST(name, assembly)                                            \
  asm(".pushsection .rodata\n.code64\n.globl guest_" #name "\nguest_" #name \
      ":\n" assembly "\n.globl guest_" #name "_end\nguest_" #name           \
      "_end:\n.popsection");                                                \
  extern "C" const unsigned char guest_##name[];                            \
  extern "C" const unsigned char guest_##name##_end[];                      \
  inline std::vector<unsigned char> name##Code() {                          \
    return std::vector<unsigned char>(guest_##name, guest_##name##_end);    \
  }

namespace worldswitch {

inline constexpr std::uint64_t kMemoryBytes = 2u << 20;
inline constexpr std::uint64_t kMmioBase = 0x10000000;
inline constexpr std::uint64_t kCodeGpa = 0x10000;
inline constexpr std::uint64_t kHandlerGpa = 0x18000;
inline constexpr std::uint64_t kStackGpa = 0x20000;  // grows down; per vCPU
inline constexpr std::uint64_t kRflagsIf = 0x200;

// Kicks its vCPU again and again once the time is over, so that a guest that
// hangs fails the test instead of blocking it.
class Watchdog {
 public:
  explicit Watchdog(KickHandle handle,
                    std::chrono::seconds limit = std::chrono::seconds(30))
      : thread_([this, handle = std::move(handle), limit] {
          std::unique_lock<std::mutex> lock(mutex_);
          const auto until = std::chrono::steady_clock::now() + limit;
          if (wake_.wait_until(lock, until, [this] { return over_; })) return;
          fired_ = true;
          do {
            handle.Kick();
          } while (!wake_.wait_for(lock, std::chrono::milliseconds(100),
                                   [this] { return over_; }));
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    wake_.notify_one();
    thread_.join();
    EXPECT_FALSE(fired_) << "the guest hung";
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  bool fired() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return fired_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  bool fired_ = false;
  std::thread thread_;
};

// A test program that links this has /dev/kvm or skips, with the reason.
class KvmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = ProbeKvm(); !status.ok()) {
      GTEST_SKIP() << status;
    }
    absl::StatusOr<std::unique_ptr<Backend>> backend =
        KvmBackendFactory().create(BackendSpec{"kvm", {}});
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_.reset(static_cast<KvmBackend*>(backend->release()));
  }

  // registers: the knob, or "" for its default.
  void MakeVm(const std::string& registers = "", std::uint32_t vcpus = 1) {
    VmConfig config;
    config.needs = {.memory_bytes = kMemoryBytes, .vcpus = vcpus};
    if (!registers.empty()) {
      if (const Knob* knob = backend_->knobs().Find("registers");
          !knob->not_settable.empty()) {
        GTEST_SKIP() << knob->not_settable;
      }
      config.knobs["registers"] = registers;
    }
    absl::StatusOr<std::unique_ptr<KvmVm>> vm = backend_->CreateKvmVm(config);
    ASSERT_TRUE(vm.ok()) << vm.status();
    vm_ = *std::move(vm);
    WriteTables();
  }

  KvmVcpu& vcpu(std::uint32_t index = 0) { return vm_->kvm_vcpu(index); }
  GeneralRegisters& general(std::uint32_t index = 0) {
    return vcpu(index).registers().general;
  }

  void Write(std::uint64_t gpa, const void* data, std::size_t size) {
    std::byte* const at = vm_->memory().At(gpa, size);
    ASSERT_NE(at, nullptr);
    std::memcpy(at, data, size);
  }
  template <typename T>
  T Read(std::uint64_t gpa) {
    T value = {};
    const std::byte* const at = vm_->memory().At(gpa, sizeof(T));
    if (at != nullptr) std::memcpy(&value, at, sizeof(T));
    return value;
  }
  void Load(std::uint64_t gpa, const std::vector<unsigned char>& code) {
    Write(gpa, code.data(), code.size());
  }
  // The handler of one vector: an interrupt gate to `gpa`.
  void SetGate(std::uint8_t vector, std::uint64_t gpa) {
    const std::uint64_t gate[2] = {
        (gpa & 0xFFFF) | (std::uint64_t{kCodeSelector} << 16) |
            (std::uint64_t{0x8E} << 40) | ((gpa >> 16 & 0xFFFF) << 48),
        gpa >> 32};
    Write(kIdt + vector * std::uint64_t{16}, gate, sizeof(gate));
  }

  // Loads `code` and makes the vCPU begin with it, in 64-bit mode.
  void Start(const std::vector<unsigned char>& code, std::uint32_t index = 0,
             std::uint64_t gpa = kCodeGpa) {
    Load(gpa, code);
    KvmVcpu& target = vcpu(index);
    ASSERT_EQ(target.fetch_registers(kAllRegisters), Result::kOk);
    SpecialRegisters& special = target.registers().special;
    const Segment data = {.base = 0,
                          .limit = 0xFFFFFFFF,
                          .access_rights = 0xC093,
                          .selector = kDataSelector};
    special.ds = special.es = special.fs = special.gs = special.ss = data;
    special.cs = {.base = 0,
                  .limit = 0xFFFFFFFF,
                  .access_rights = 0xA09B,
                  .selector = kCodeSelector};
    special.gdtr = {.base = kGdt, .limit = 3 * 8 - 1};
    special.idtr = {.base = kIdt, .limit = 256 * 16 - 1};
    special.cr0 = 0x80000011;  // PG, ET, PE
    special.cr3 = kPml4;
    special.cr4 = 0x20;    // PAE
    special.efer = 0x500;  // LMA, LME
    GeneralRegisters& registers = target.registers().general;
    registers = {};
    registers.rip = gpa;
    registers.rsp = kStackGpa - std::uint64_t{0x1000} * index;
    registers.rflags = 2;
    target.registers().dirty = kAllRegisters;
    ASSERT_EQ(target.commit_registers(), Result::kOk) << target.last_error();
  }

  static constexpr std::uint16_t kCodeSelector = 8;
  static constexpr std::uint16_t kDataSelector = 16;
  static constexpr std::uint64_t kGdt = 0x1000;
  static constexpr std::uint64_t kIdt = 0x2000;
  static constexpr std::uint64_t kPml4 = 0x3000;
  static constexpr std::uint64_t kPdpt = 0x4000;
  static constexpr std::uint64_t kPageDirectory = 0x5000;

  void WriteTables() {
    const std::uint64_t gdt[3] = {0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
    Write(kGdt, gdt, sizeof(gdt));
    const std::uint64_t to_pdpt = kPdpt | 3;
    const std::uint64_t to_directory = kPageDirectory | 3;
    Write(kPml4, &to_pdpt, sizeof(to_pdpt));
    Write(kPdpt, &to_directory, sizeof(to_directory));
    for (std::uint64_t i = 0; i < 512; ++i) {
      const std::uint64_t page = (i << 21) | 0x83;  // 2 MiB, writable, present
      Write(kPageDirectory + 8 * i, &page, sizeof(page));
    }
  }

  std::unique_ptr<KvmBackend> backend_;
  std::unique_ptr<KvmVm> vm_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_TESTS_SYSTEM_KVM_FIXTURE_H_
