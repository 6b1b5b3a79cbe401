// Fields of a word that a manual defines: what they are called, where they
// lie, and when they mean anything. One description serves who wants a value
// (`VmxIoQualification::kPort.Of(qualification)`) and who wants all of them in
// words (core/host/bit_field_text.h).
//
// Part of the contract floor: freestanding, constant data and pure functions.

#ifndef WORLDSWITCH_CORE_BIT_FIELD_H_
#define WORLDSWITCH_CORE_BIT_FIELD_H_

#include <cstdint>
#include <span>

namespace worldswitch {

enum class BitFieldKind : std::uint8_t {
  kFlag,    // one bit
  kNumber,  // shown in decimal
  kHex,     // an address, a selector, a port: shown in hexadecimal
  kChoice,  // its values have names
};

struct BitField {
  const char* name = nullptr;  // the manual's
  std::uint8_t low = 0;        // lowest bit
  std::uint8_t width = 1;      // bits, 1 to 64
  BitFieldKind kind = BitFieldKind::kFlag;
  // kChoice: by value. A value beyond the end, or a null name, is reserved.
  std::span<const char* const> choices = {};
  // The field means something only in a word whose bits [when_low, when_low +
  // when_width) hold a value n with bit n of when_values set. when_width 0:
  // always.
  std::uint8_t when_low = 0;
  std::uint8_t when_width = 0;
  std::uint32_t when_values = 0;

  // The bits of the field, in place.
  constexpr std::uint64_t Mask() const { return Ones(width) << low; }
  // The field's value in `word`.
  constexpr std::uint64_t Of(std::uint64_t word) const {
    return (word >> low) & Ones(width);
  }
  constexpr bool IsSet(std::uint64_t word) const { return Of(word) != 0; }
  constexpr bool AppliesTo(std::uint64_t word) const {
    if (when_width == 0) return true;
    const std::uint64_t value = (word >> when_low) & Ones(when_width);
    return value < 32 && ((when_values >> value) & 1) != 0;
  }
  // kChoice: the name of its value in `word`; null if that is reserved.
  constexpr const char* ChoiceOf(std::uint64_t word) const {
    const std::uint64_t value = Of(word);
    return value < choices.size() ? choices[value] : nullptr;
  }
  // The same field, where `other` holds one of the values in the mask.
  constexpr BitField When(const BitField& other, std::uint32_t values) const {
    BitField field = *this;
    field.when_low = other.low;
    field.when_width = other.width;
    field.when_values = values;
    return field;
  }

 private:
  static constexpr std::uint64_t Ones(std::uint8_t count) {
    return count >= 64 ? ~std::uint64_t{0}
                       : (std::uint64_t{1} << count) - std::uint64_t{1};
  }
};

// All fields of one word, lowest first. Empty: nothing is defined.
using BitFields = std::span<const BitField>;

// Of a table whose words only a program of an operating system takes apart:
// the boot image is compiled without them (see core/host_text.h).
class HostBitFields : public BitFields {
 public:
  constexpr HostBitFields() = default;
  // NOLINTBEGIN(google-explicit-constructor): stands where BitFields stood
#ifdef WS_NATIVE_IMAGE
  template <typename Fields>
  constexpr HostBitFields(const Fields& /*fields*/) {}
#else
  template <typename Fields>
  constexpr HostBitFields(const Fields& fields) : BitFields(fields) {}
#endif
  // NOLINTEND(google-explicit-constructor)
};

constexpr BitField FlagField(const char* name, std::uint8_t bit) {
  return BitField{.name = name, .low = bit};
}
constexpr BitField NumberField(const char* name, std::uint8_t low,
                               std::uint8_t width) {
  return BitField{
      .name = name, .low = low, .width = width, .kind = BitFieldKind::kNumber};
}
constexpr BitField HexField(const char* name, std::uint8_t low,
                            std::uint8_t width) {
  return BitField{
      .name = name, .low = low, .width = width, .kind = BitFieldKind::kHex};
}
constexpr BitField ChoiceField(const char* name, std::uint8_t low,
                               std::uint8_t width,
                               std::span<const char* const> choices) {
  return BitField{.name = name,
                  .low = low,
                  .width = width,
                  .kind = BitFieldKind::kChoice,
                  .choices = choices};
}

// The bits of `word` that are set and that no field which applies accounts for:
// reserved by the manual, or younger than this program.
constexpr std::uint64_t UndefinedBits(BitFields fields, std::uint64_t word) {
  std::uint64_t left = word;
  for (const BitField& field : fields) {
    if (field.AppliesTo(word)) left &= ~field.Mask();
  }
  return left;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_BIT_FIELD_H_
