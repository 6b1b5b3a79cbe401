// Segments between the contract (access rights as VMX has them) and the VMCB
// (12 bits of attributes, APM 2, 15.5.1).
//
// Freestanding: pure functions.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SEGMENTS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SEGMENTS_H_

#include <cstdint>

#include "backends/svm_amd/native/vmcb.h"
#include "core/registers.h"

namespace worldswitch::svm {

inline constexpr std::uint16_t kSvmSegmentPresent = 1u << 7;
inline constexpr std::uint16_t kSvmSegmentLong = 1u << 9;
inline constexpr std::uint16_t kSvmSegmentDefault = 1u << 10;  // D/B
inline constexpr std::uint32_t kAccessRightsUnusable = 1u << 16;

// AVL, L, D/B and G go from bits 15:12 to 11:8. An unusable segment is one that
// is not present.
constexpr std::uint16_t SvmAttributes(std::uint32_t access_rights) {
  const std::uint32_t attributes =
      (access_rights & 0xFF) | (access_rights >> 4 & 0xF00);
  return static_cast<std::uint16_t>(
      (access_rights & kAccessRightsUnusable) != 0
          ? attributes & ~std::uint32_t{kSvmSegmentPresent}
          : attributes);
}

constexpr std::uint32_t AccessRights(std::uint16_t attributes) {
  const std::uint32_t rights =
      (attributes & 0xFFu) | (attributes & 0xF00u) << 4;
  return (attributes & kSvmSegmentPresent) != 0
             ? rights
             : rights | kAccessRightsUnusable;
}

constexpr VmcbSegment ToVmcb(const Segment& segment) {
  return {.selector = segment.selector,
          .attributes = SvmAttributes(segment.access_rights),
          .limit = segment.limit,
          .base = segment.base};
}

constexpr Segment FromVmcb(const VmcbSegment& segment) {
  return {.base = segment.base,
          .limit = segment.limit,
          .access_rights = AccessRights(segment.attributes),
          .selector = segment.selector};
}

constexpr VmcbSegment ToVmcb(const DescriptorTable& table) {
  return {.selector = 0,
          .attributes = 0,
          .limit = table.limit,
          .base = table.base};
}

constexpr DescriptorTable TableFromVmcb(const VmcbSegment& table) {
  return {.base = table.base,
          .limit = static_cast<std::uint16_t>(table.limit)};
}

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SEGMENTS_H_
