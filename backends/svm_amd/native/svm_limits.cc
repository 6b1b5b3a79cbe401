// Which bits of CR4 and EFER this processor has (APM 2, 3.1.3 and 3.1.7).

#include "backends/svm_amd/native/svm_instructions.h"
#include "backends/svm_amd/native/svm_state_rules.h"

namespace worldswitch::svm {
namespace {

// A bit of a control register that is there if a bit of CPUID is.
struct Feature {
  std::uint32_t cpuid_bit;
  std::uint64_t bit;
};

constexpr Feature kByLeaf1Ecx[] = {{1u << 17, 1u << 17},   // PCID
                                   {1u << 26, 1u << 18}};  // OSXSAVE
constexpr Feature kByLeaf7Ebx[] = {{1u << 0, 1u << 16},    // FSGSBASE
                                   {1u << 7, 1u << 20},    // SMEP
                                   {1u << 20, 1u << 21}};  // SMAP
constexpr Feature kByLeaf7Ecx[] = {{1u << 2, 1u << 11},    // UMIP
                                   {1u << 3, 1u << 22},    // PKE
                                   {1u << 7, 1u << 23},    // CET
                                   {1u << 16, 1u << 12}};  // LA57
constexpr std::uint64_t kCr4Always = 0x7FF;
constexpr std::uint64_t kEferAlways = 0x3D01;  // SCE, LME, LMA, NXE, SVME, LMSLE

template <std::size_t n>
std::uint64_t BitsBy(const Feature (&features)[n], std::uint32_t word) {
  std::uint64_t bits = 0;
  for (const Feature& feature : features) {
    if ((word & feature.cpuid_bit) != 0) bits |= feature.bit;
  }
  return bits;
}

}  // namespace

SvmLimits ProbeSvmLimits() {
  const CpuidLeaf sizes = Cpuid(0x80000008);
  const CpuidLeaf extended = Cpuid(0x80000001);
  SvmLimits limits;
  limits.physical_bits = sizes.eax & 0xFF;
  limits.cr4_bits = kCr4Always | BitsBy(kByLeaf1Ecx, Cpuid(1).ecx);
  if (Cpuid(0).eax >= 7) {
    const CpuidLeaf seven = Cpuid(7);
    limits.cr4_bits |=
        BitsBy(kByLeaf7Ebx, seven.ebx) | BitsBy(kByLeaf7Ecx, seven.ecx);
  }
  constexpr Feature kByEdx[] = {{1u << 25, 1u << 14}};       // FFXSR
  constexpr Feature kByEcx[] = {{1u << 17, 1u << 15}};       // TCE
  constexpr Feature kBySizes[] = {{1u << 8, 1u << 17},       // MCOMMIT
                                  {1u << 13, 1u << 18}};     // INT_WBINVD
  limits.efer_bits = kEferAlways | BitsBy(kByEdx, extended.edx) |
                     BitsBy(kByEcx, extended.ecx) |
                     BitsBy(kBySizes, sizes.ebx);
  return limits;
}

}  // namespace worldswitch::svm
