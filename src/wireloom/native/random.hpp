// The random stream of CPython, so that a published seed gives the published graph.
#pragma once

#include <cstdint>
#include <vector>

namespace wireloom {

// The Mersenne twister seeded and read as CPython's random.Random does, on every machine and
// Python version.
class PythonRandom {
public:
    explicit PythonRandom(uint64_t seed);
    double uniform() {  // random(): 53 bits in [0, 1)
        const uint32_t high = next() >> 5, low = next() >> 6;
        return (high * 67108864.0 + low) / 9007199254740992.0;
    }
    uint32_t bits(int count) { return next() >> (32 - count); }  // getrandbits(count), count 1 to 32
    uint32_t below(uint32_t limit);  // choice(range(limit)): bits(bit_width(limit)) until below it

private:
    static constexpr int kWords = 624;
    uint32_t next() {
        if (position_ == kWords) refill();
        return ready_[position_++];
    }
    void refill();

    uint32_t state_[kWords];
    uint32_t ready_[kWords];
    int position_ = 0;
};

// Streams of many seeds: seeding costs more than drawing a small graph, so each seed is seeded
// once and then copied.
class SeededStreams {
public:
    explicit SeededStreams(const std::vector<uint64_t>& seeds);
    PythonRandom of(uint64_t seed) const;

private:
    std::vector<uint64_t> seeds_;  // ascending; empty when there are too many to keep
    std::vector<PythonRandom> streams_;
};

}  // namespace wireloom
