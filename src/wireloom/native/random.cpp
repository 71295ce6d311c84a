#include "random.hpp"

#include <algorithm>
#include <bit>

namespace wireloom {

PythonRandom::PythonRandom(uint64_t seed) {
    std::vector<uint32_t> key{static_cast<uint32_t>(seed)};
    if (seed >> 32) key.push_back(static_cast<uint32_t>(seed >> 32));

    state_[0] = 19650218u;
    for (uint32_t i = 1; i < kWords; ++i)
        state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    uint32_t i = 1, j = 0;
    for (int round = 0; round < kWords; ++round) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        if (++i == kWords) state_[0] = state_[kWords - 1], i = 1;
        if (++j == key.size()) j = 0;
    }
    for (int round = 0; round < kWords - 1; ++round) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == kWords) state_[0] = state_[kWords - 1], i = 1;
    }
    state_[0] = 0x80000000u;
    refill();
}

void PythonRandom::refill() {
    constexpr int kShift = 397;
    const auto mixed = [](uint32_t upper, uint32_t lower) {
        const uint32_t y = (upper & 0x80000000u) | (lower & 0x7fffffffu);
        return (y >> 1) ^ ((0u - (y & 1)) & 0x9908b0dfu);
    };
    for (int i = 0; i < kWords - kShift; ++i)
        state_[i] = state_[i + kShift] ^ mixed(state_[i], state_[i + 1]);
    for (int i = kWords - kShift; i < kWords - 1; ++i)
        state_[i] = state_[i + kShift - kWords] ^ mixed(state_[i], state_[i + 1]);
    state_[kWords - 1] = state_[kShift - 1] ^ mixed(state_[kWords - 1], state_[0]);
    for (int i = 0; i < kWords; ++i) {
        uint32_t y = state_[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        ready_[i] = y ^ (y >> 18);
    }
    position_ = 0;
}

uint32_t PythonRandom::below(uint32_t limit) {
    const int width = std::bit_width(limit);
    uint32_t value;
    do value = bits(width);
    while (value >= limit);
    return value;
}

SeededStreams::SeededStreams(const std::vector<uint64_t>& seeds) : seeds_(seeds) {
    constexpr size_t kMost = 1024;  // 5 MB of streams
    std::sort(seeds_.begin(), seeds_.end());
    seeds_.erase(std::unique(seeds_.begin(), seeds_.end()), seeds_.end());
    if (seeds_.size() > kMost) seeds_.clear();
    for (uint64_t seed : seeds_) streams_.emplace_back(seed);
}

PythonRandom SeededStreams::of(uint64_t seed) const {
    const auto at = std::lower_bound(seeds_.begin(), seeds_.end(), seed);
    return at != seeds_.end() && *at == seed ? streams_[at - seeds_.begin()] : PythonRandom(seed);
}

}  // namespace wireloom
