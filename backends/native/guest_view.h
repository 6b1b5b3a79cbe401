// Guest memory by linear address, through the guest's own page tables: for the
// bytes of an instruction and for the operands of a string instruction.
//
// Understands a guest without paging and one with four-level paging. With
// 32-bit, PAE or five-level paging it translates nothing. Access rights are not
// checked again: the guest's own access got past them. Accessed and dirty bits
// are left alone. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_GUEST_VIEW_H_
#define WORLDSWITCH_BACKENDS_NATIVE_GUEST_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// What translation depends on.
struct GuestPaging {
  std::uint64_t cr0 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t efer = 0;
};

class GuestView {
 public:
  GuestView(const MemoryView& memory, const GuestPaging& paging)
      : memory_(memory), paging_(paging) {}

  // False: the guest maps nothing there, or its tables lie outside its memory.
  bool Translate(std::uint64_t linear, std::uint64_t* gpa) const;
  // As many bytes as there are, up to `bytes`: those before the first one that
  // cannot be reached.
  std::size_t Read(std::uint64_t linear, void* to, std::size_t bytes) const;
  // Where all of [linear, linear + bytes) lies in one piece of the host's
  // memory. False: nowhere, or in pieces.
  bool Find(std::uint64_t linear, std::size_t bytes, std::byte** at) const;

 private:
  // The host's address of the byte at `linear`, and how many follow it in its
  // page. Null: none.
  std::byte* At(std::uint64_t linear, std::size_t* bytes) const;

  const MemoryView memory_;
  const GuestPaging paging_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_GUEST_VIEW_H_
