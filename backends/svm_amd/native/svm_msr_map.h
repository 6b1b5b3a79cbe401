// The MSR permission map (APM 2, 15.11): two bits for each MSR of three ranges,
// read and write; set: the access exits.
//
// Freestanding: works on 8 KiB that the caller has.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSR_MAP_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSR_MAP_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::svm {

class SvmMsrMap {
 public:
  static constexpr std::size_t kPages = 2;
  static constexpr std::size_t kBytes = kPages * 4096;

  SvmMsrMap() = default;
  explicit SvmMsrMap(std::uint8_t* map) : map_(map) {}

  // The map knows this MSR; the others always exit.
  static constexpr bool Covers(std::uint32_t msr) { return BitOf(msr) >= 0; }
  void Set(std::uint32_t msr, bool reads, bool writes) {
    const std::int64_t bit = BitOf(msr);
    if (bit < 0) return;
    std::uint8_t& byte = map_[bit / 8];
    const auto shift = static_cast<unsigned>(bit % 8);
    byte = static_cast<std::uint8_t>((byte & ~(3u << shift)) |
                                     (reads ? 1u << shift : 0) |
                                     (writes ? 2u << shift : 0));
  }
  bool Has(std::uint32_t msr, bool write) const {
    const std::int64_t bit = BitOf(msr);
    if (bit < 0) return false;
    return (map_[bit / 8] >> (bit % 8 + (write ? 1 : 0)) & 1) != 0;
  }

 private:
  static constexpr std::int64_t BitOf(std::uint32_t msr) {
    constexpr std::uint32_t kFirst[] = {0, 0xC0000000, 0xC0010000};
    constexpr std::uint32_t kMsrs = 0x2000;
    for (int i = 0; i < 3; ++i) {
      if (msr - kFirst[i] < kMsrs) {
        return i * std::int64_t{2048} * 8 + (msr - kFirst[i]) * std::int64_t{2};
      }
    }
    return -1;
  }

  std::uint8_t* map_ = nullptr;
};

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_MSR_MAP_H_
