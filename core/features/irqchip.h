// The interrupt controllers that an engine emulates itself: lines, messages,
// routes, descriptors that raise an interrupt, and the controllers' state.
// FeatureOf<Irqchip>(vm) is null where the VM has none.
//
// Unless a line says otherwise: one thread at a time, no vCPU of the VM
// running; kError leaves everything as it was, with the reason in
// last_error(). Only signal_irqfd may stand between two entries that are timed.
//
// Freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_IRQCHIP_H_
#define WORLDSWITCH_CORE_FEATURES_IRQCHIP_H_

#include <cstdint>

#include "core/vcpu_ops.h"
#include "core/vm_ops.h"

namespace worldswitch {

enum class IrqchipKind : std::uint8_t {
  kSplit,  // local APICs in the engine; IOAPIC and PIC are the caller's
  kFull,   // local APICs, IOAPIC and two PICs in the engine
};

// A message-signalled interrupt as it stands on the bus (SDM 3A, "Message
// Signalled Interrupts"): address 0xFEExxxxx, data with the vector in 7:0.
struct MsiMessage {
  std::uint64_t address;
  std::uint32_t data;
};

// The message for a fixed, edge-triggered interrupt of one local APIC.
// apic_id: 0 to 255; vector: 16 to 255.
constexpr MsiMessage FixedMsi(std::uint32_t apic_id, std::uint8_t vector) {
  return {.address = 0xFEE00000 | std::uint64_t{apic_id & 0xFF} << 12,
          .data = vector};
}

enum class IrqTarget : std::uint8_t { kPicMaster, kPicSlave, kIoapic, kMsi };

// Where a GSI leads. One GSI may have a route to a PIC and one to the IOAPIC.
struct IrqRoute {
  std::uint32_t gsi;
  IrqTarget target;
  std::uint32_t pin;  // PIC: 0 to 7, IOAPIC: 0 to 23
  MsiMessage msi;     // kMsi only
};

// The page of registers at 0xFEE00000, 16 bytes apart (SDM 3A, table 11-1).
struct LapicState {
  std::uint8_t page[1024];

  std::uint32_t Get(std::uint32_t offset) const {
    std::uint32_t value = 0;
    __builtin_memcpy(&value, page + offset, sizeof(value));
    return value;
  }
  void Set(std::uint32_t offset, std::uint32_t value) {
    __builtin_memcpy(page + offset, &value, sizeof(value));
  }
};

struct IoapicState {
  std::uint64_t base;
  std::uint32_t select;  // IOREGSEL
  std::uint32_t id;
  std::uint32_t irr;
  std::uint64_t redirection[24];
};

// One 8259A. The names are its data sheet's.
struct PicState {
  std::uint8_t last_irr;
  std::uint8_t irr;
  std::uint8_t imr;
  std::uint8_t isr;
  std::uint8_t irq_base;  // vector of its pin 0
  std::uint8_t elcr;      // level-triggered pins
  std::uint8_t init_state;
  bool auto_eoi;
};

// A channel that nobody has programmed since reset.
inline constexpr std::uint8_t kPitModeUnset = 0xff;

struct PitChannel {
  std::uint32_t count;  // 1 to 65536
  std::uint8_t mode;    // 0 to 5, or kPitModeUnset
  bool gate;
};

struct PitState {
  PitChannel channels[3];
};

enum class MpState : std::uint8_t {
  kRunnable,
  kUninitialized,  // an application processor that waits for INIT
  kInitReceived,   // and now for SIPI
  kHalted,
  kSipiReceived,
  kOther,
};

// Names a descriptor of add_irqfd; counts up from 0 and is not reused.
using IrqfdToken = std::uint32_t;

class Irqchip {
 public:
  static constexpr FeatureId kId = FeatureId::kIrqchip;

  virtual IrqchipKind kind() const = 0;

  // Raises or lowers a line. Any thread. An edge-triggered interrupt is the
  // change from low to high. kSplit: kError, since no line leads anywhere.
  virtual Result set_irq_line(std::uint32_t gsi, bool high) = 0;
  // Delivers a message now. Any thread. *delivered: false if the guest cannot
  // take it (no such local APIC, or it is off).
  virtual Result signal_msi(const MsiMessage& message, bool* delivered) = 0;
  // Replaces the whole table. A fresh kFull irqchip routes GSI 0 to 15 to PIC
  // and IOAPIC, 16 to 23 to the IOAPIC; a kSplit one routes nothing. The PICs
  // hang on LINT0 of the first local APIC, which is open at reset.
  virtual Result set_routing(const IrqRoute* routes, std::uint32_t count) = 0;

  // A descriptor that raises `gsi` when it is signalled.
  virtual Result add_irqfd(std::uint32_t gsi, IrqfdToken* token) = 0;
  // For a level-triggered line: it stays high until the guest's EOI, which
  // lowers it and counts one resample. kFull only.
  virtual Result add_resample_irqfd(std::uint32_t gsi, IrqfdToken* token) = 0;
  virtual Result remove_irqfd(IrqfdToken token) = 0;
  // Any thread. One system call.
  virtual Result signal_irqfd(IrqfdToken token) = 0;
  // Resamples since add_resample_irqfd; 0 for an irqfd without.
  virtual std::uint64_t resamples(IrqfdToken token) = 0;

  // vcpu: 0 to vcpu_count() - 1. Where the vCPU has turned x2APIC on, the ID
  // register is that of x2APIC (the id in 31:0).
  virtual Result get_lapic(std::uint32_t vcpu, LapicState* state) = 0;
  virtual Result set_lapic(std::uint32_t vcpu, const LapicState& state) = 0;
  // kFull only; kUnsupported otherwise. index: 0 master, 1 slave.
  virtual Result get_pic(std::uint32_t index, PicState* state) = 0;
  virtual Result set_pic(std::uint32_t index, const PicState& state) = 0;
  virtual Result get_ioapic(IoapicState* state) = 0;
  virtual Result set_ioapic(const IoapicState& state) = 0;
  // kUnsupported without a PIT. Setting a channel starts its count anew.
  virtual Result get_pit(PitState* state) = 0;
  virtual Result set_pit(const PitState& state) = 0;

  // A vCPU but the first begins kUninitialized; its `run` answers kRetry when
  // the first one's INIT and SIPI reach it, and enters the guest after that.
  virtual Result get_mp_state(std::uint32_t vcpu, MpState* state) = 0;
  virtual Result set_mp_state(std::uint32_t vcpu, MpState state) = 0;
  // Queues a system-management interrupt. kUnsupported where the engine has
  // no SMM.
  virtual Result send_smi(std::uint32_t vcpu) = 0;

  // errno of the last call that answered kError, of whichever thread; EINVAL
  // also for arguments refused before the engine saw them.
  virtual int last_error() const = 0;

 protected:
  ~Irqchip() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_IRQCHIP_H_
