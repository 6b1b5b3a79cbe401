// Groups of registers as the words of an event: each is the value XOR the one
// that the recording had of it before (at first 0), so that what did not change
// takes one byte in the file.
//
// Freestanding, header only.

#ifndef WORLDSWITCH_CORE_RECORDING_REGISTERS_H_
#define WORLDSWITCH_CORE_RECORDING_REGISTERS_H_

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "core/recording_event.h"
#include "core/registers.h"

namespace worldswitch {

// One for each vCPU, on either side.
class RegisterWords {
 public:
  // group: kGeneralRegisters or kSpecialRegisters.
  void Pack(RegisterFile& file, RegisterSet group, RecordedEvent* event) {
    event->groups = group;
    event->word_count = 0;
    Each(file, group, [&](auto& value) {
      const auto now = static_cast<std::uint64_t>(value);
      std::uint64_t& before = Before(group)[event->word_count];
      event->words[event->word_count++] = now ^ before;
      before = now;
    });
  }

  // False: these are not the words of such a group.
  bool Unpack(const RecordedEvent& event, RegisterFile* file) {
    if (event.groups != kGeneralRegisters &&
        event.groups != kSpecialRegisters) {
      return false;
    }
    std::uint32_t at = 0;
    bool fits = true;
    Each(*file, event.groups, [&](auto& value) {
      if (at >= event.word_count) {
        fits = false;
        return;
      }
      std::uint64_t& before = Before(event.groups)[at];
      before ^= event.words[at++];
      value = static_cast<std::remove_reference_t<decltype(value)>>(before);
      fits = fits && static_cast<std::uint64_t>(value) == before;
    });
    return fits && at == event.word_count;
  }

  // Calls `use` with every register of the group, in the order of the file.
  template <typename Use>
  static void Each(RegisterFile& file, RegisterSet group, const Use& use) {
    if (group == kGeneralRegisters) {
      GeneralRegisters& g = file.general;
      for (std::uint64_t* const each :
           {&g.rax, &g.rbx, &g.rcx, &g.rdx, &g.rsi, &g.rdi, &g.rsp, &g.rbp,
            &g.r8, &g.r9, &g.r10, &g.r11, &g.r12, &g.r13, &g.r14, &g.r15,
            &g.rip, &g.rflags}) {
        use(*each);
      }
      return;
    }
    SpecialRegisters& s = file.special;
    for (Segment* const each :
         {&s.cs, &s.ds, &s.es, &s.fs, &s.gs, &s.ss, &s.tr, &s.ldtr}) {
      use(each->base);
      use(each->limit);
      use(each->access_rights);
      use(each->selector);
    }
    for (DescriptorTable* const each : {&s.gdtr, &s.idtr}) {
      use(each->base);
      use(each->limit);
    }
    for (std::uint64_t* const each :
         {&s.cr0, &s.cr2, &s.cr3, &s.cr4, &s.cr8, &s.efer, &s.apic_base}) {
      use(*each);
    }
  }

 private:
  std::uint64_t* Before(RegisterSet group) {
    return group == kGeneralRegisters ? general_ : special_;
  }

  std::uint64_t general_[kRecordedWords] = {};
  std::uint64_t special_[kRecordedWords] = {};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_RECORDING_REGISTERS_H_
