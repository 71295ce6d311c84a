// exp and what is made of it, lane by lane: a lane's bits depend on its own value alone.
#pragma once

#include "vectors.hpp"

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

typedef int32_t Words __attribute__((vector_size(kLanes * sizeof(int32_t))));

// e^x within one unit in the last place (tests/test_activations.py measures it) over the whole
// range: subnormal results are rounded once, 0 and infinity are reached where float32 ends, NaN
// stays NaN. x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r), q minimax of degree 4.
inline Vec exponential(Vec x) {
    const Vec low = spread(-104.0f), high = spread(89.0f);  // beyond them all is 0 or infinity
    x = x < low ? low : x;
    x = x > high ? high : x;
    // Adding 1.5 * 2^23 rounds to a whole number, which its last bits then are.
    const Vec shift = spread(0x1.8p23f);
    const Vec shifted = x * spread(0x1.715476p0f) + shift;
    const Words n = (Words)shifted - (Words)shift;
    const Vec whole = shifted - shift;
    const Vec r = (x - whole * spread(0x1.62ep-1f)) - whole * spread(0x1.0bfbe8p-15f);
    Vec q = spread(0x1.6a2358p-10f);
    q = q * r + spread(0x1.123a6cp-7f);
    q = q * r + spread(0x1.5558f4p-5f);
    q = q * r + spread(0x1.55549p-3f);
    q = q * r + spread(0x1.fffffcp-2f);
    const Vec power = (r * r) * q + r + spread(1.0f);
    // 2^n in two factors: n reaches from -150 to 128, an exponent from -126 to 127.
    const Words first = n >> 1, second = n - first;
    return power * (Vec)((first + 127) << 23) * (Vec)((second + 127) << 23);
}

inline Vec sigmoid(Vec x) { return spread(1.0f) / (spread(1.0f) + exponential(-x)); }

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
