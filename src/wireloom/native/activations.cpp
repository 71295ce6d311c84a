// Elementwise functions, sums over pixels, and the largest of each window.
//
// Compiled without contraction of a * b + c, as all that is not a product is.
#include "exponential.hpp"
#include "kernels.hpp"
#include "maps.hpp"

#include <algorithm>
#include <limits>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

template <class Function>
void each(const float* x, float* y, int64_t size, int threads, Function f) {
    constexpr int64_t kPiece = 16384;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t begin = 0; begin < size; begin += kPiece) {
        const int64_t end = std::min(size, begin + kPiece);
        int64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) store(y + i, f(load(x + i)));
        if (i < end) store_some(y + i, f(load_some(x + i, end - i)), end - i);
    }
}

void any_exponential(const float* x, float* y, int64_t size, int threads) {
    each(x, y, size, threads, [](Vec v) { return exponential(v); });
}
void any_sigmoid(const float* x, float* y, int64_t size, int threads) {
    each(x, y, size, threads, [](Vec v) { return sigmoid(v); });
}

// sums[r] = the sum over row r of x times y, or of x where y is null. Blocks of 4096 are summed in
// float32 and added in double.
void row_sums(const float* x, const float* y, float* sums, int64_t rows, int64_t count, int threads) {
    constexpr int64_t kBlock = 4096;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; ++r) {
        double total = 0.0;
        for (int64_t begin = 0; begin < count; begin += kBlock) {
            const int64_t end = std::min(count, begin + kBlock);
            Vec sum_of[2] = {};
            const auto add = [&](Vec& to, int64_t i, int64_t live) {
                const auto at = [&](const float* from) {
                    return live == kLanes ? load(from + r * count + i) : load_some(from + r * count + i, live);
                };
                to += y ? at(x) * at(y) : at(x);
            };
            int64_t i = begin;
            for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
                add(sum_of[0], i, kLanes);
                add(sum_of[1], i + kLanes, kLanes);
            }
            for (; i < end; i += kLanes) add(sum_of[0], i, std::min<int64_t>(kLanes, end - i));
            total += sum(sum_of[0] + sum_of[1]);
        }
        sums[r] = static_cast<float>(total);
    }
}

// The largest of what a window meets, tap by tap: the first of equal ones, but a NaN before all.
template <bool Places>
struct Largest {
    Vec value;
    Words place;
    void meet(Vec v, Words p) {
        const auto better = (v > value) | (v != v);
        value = better ? v : value;
        if constexpr (Places) place = better ? p : place;
    }
};

// The taps from..until of one direction that a window beginning at `first` has on a map of `inputs`.
inline void taps_on(const Window& w, int64_t first, int64_t inputs, int64_t& from, int64_t& until) {
    from = std::max<int64_t>(0, -first);
    until = std::min(w.size, inputs - first);
}

// One row of a plane's outputs, of windows without dilation: give(j, count, values, places) for some columns j .. j + count, the
// places being pixels of the plane. `x` is the plane, `end` the end of all of them.
template <bool Places, class Give>
void largest_row(const Maps& m, const float* x, const float* end, int64_t i, Give give) {
    constexpr float kLeast = -std::numeric_limits<float>::infinity();
    const Window &down = m.down, &across = m.across;
    const int64_t top = i * down.stride - down.padding;
    Words ramp{};
    for (int lane = 0; lane < kLanes; ++lane) ramp[lane] = lane * static_cast<int32_t>(across.stride);
    int64_t from, until;
    taps_on(down, top, m.height, from, until);
    for (int64_t j = 0; j < m.out_width;) {
        const int64_t column = j * across.stride - across.padding;
        int64_t left, right;
        taps_on(across, column, m.width, left, right);
        // As many outputs as have all their columns on the map.
        const int64_t room = m.width - across.size - column;
        int64_t count = column < 0 || room < 0 ? 1 : std::min<int64_t>(kLanes, room / across.stride + 1);
        count = std::min(count, m.out_width - j);
        const auto place = [&](int64_t a, int64_t b) {
            return static_cast<int32_t>((top + a) * m.width + column + b);
        };
        Largest<Places> best{spread(kLeast), ramp + place(from, left)};
        for (int64_t a = from; a < until; ++a)
            for (int64_t b = left; b < right; ++b)
                best.meet(pick(x + place(a, b), across.stride, count, end), ramp + place(a, b));
        give(j, count, best.value, best.place);
        j += count;
    }
}

void largest(const LargestArgs& a, int threads) {
    const Maps& m = a.maps;
    const int64_t in_plane = m.height * m.width, out_plane = m.out_height * m.out_width;
    const float* end = a.x + a.planes * in_plane;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t p = 0; p < a.planes; ++p) {
        const float* x = a.x + p * in_plane;
        float* y = a.y + p * (a.dy ? in_plane : out_plane);
        if (a.dy) std::fill(y, y + in_plane, 0.0f);
        for (int64_t i = 0; i < m.out_height; ++i) {
            const int64_t row = i * m.out_width;
            if (a.dy)
                largest_row<true>(m, x, end, i, [&](int64_t j, int64_t count, Vec, Words places) {
                    const float* dy = a.dy + p * out_plane + row + j;
                    for (int64_t lane = 0; lane < count; ++lane) y[places[lane]] += dy[lane];
                });
            else
                largest_row<false>(m, x, end, i, [&](int64_t j, int64_t count, Vec values, Words) {
                    if (count == kLanes) store(y + row + j, values);
                    else store_some(y + row + j, values, count);
                });
        }
    }
}

}  // namespace

extern const Activations activations;
const Activations activations = {any_exponential, any_sigmoid, row_sums, largest};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
