// Numbers that look random, the same for the same seed everywhere: splitmix64
// (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_RANDOM_NUMBERS_H_
#define WORLDSWITCH_NATIVE_RANDOM_NUMBERS_H_

#include <cstdint>

namespace worldswitch::native {

class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 to limit - 1; limit: not 0.
  std::uint64_t Below(std::uint64_t limit) { return Next() % limit; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_RANDOM_NUMBERS_H_
