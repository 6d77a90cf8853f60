/* Random numbers of training: Philox4x32-10, and the order of an epoch. */
#ifndef RANDOM_H
#define RANDOM_H
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace backprop {

/* The last word of a counter: the purpose of the words. */
enum class Purpose : std::uint32_t { dropout = 0, shuffle = 1 };

/* Ten rounds of multiplication; J. K. Salmon and others, SC 2011. */
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint64_t key) {
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; round++) {
        const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0],
                            b = std::uint64_t{0xCD9E8D57} * c[2];
        c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(a)};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c;
}

/* A stream of 32-bit words, counted from 0. Four follow from one counter, so a block of four is
 * kept. */
class Stream {
  public:
    Stream(std::int64_t seed, std::int64_t time, std::int64_t layer, Purpose purpose)
        : key{static_cast<std::uint64_t>(seed)},
          counter{0, static_cast<std::uint32_t>(time), static_cast<std::uint32_t>(layer),
                  static_cast<std::uint32_t>(purpose)} {}

    std::uint32_t word(std::int64_t index) {
        if (block != index / 4) {
            block = index / 4;
            counter[0] = static_cast<std::uint32_t>(*block);
            words = philox(counter, key);
        }
        return words[index % 4];
    }

  private:
    std::uint64_t key;
    std::array<std::uint32_t, 4> counter, words{};
    std::optional<std::int64_t> block;
};

/* The order of the samples in an epoch, shuffled from the end. */
inline void shuffle(std::vector<std::int64_t> &order, std::int64_t seed, std::int64_t epoch) {
    Stream stream{seed, epoch, 0, Purpose::shuffle};
    std::iota(order.begin(), order.end(), 0);
    for (std::uint64_t i = order.size() - 1; i > 0; i--)
        std::swap(order[i], order[(stream.word(static_cast<std::int64_t>(i)) * (i + 1)) >> 32]);
}

/* In [0, 1), with 53 bits of two words of MT19937. */
inline double number(std::mt19937 &generator) {
    const auto a = generator() >> 5, b = generator() >> 6;
    return (static_cast<double>(a) * 67108864.0 + static_cast<double>(b)) / 9007199254740992.0;
}

} // namespace backprop
#endif
