// Kernels three pixels wide of stride 1, by pairs of output columns, in one body: Winograd's minimal
// filtering F(2, 3), which needs four products a pair where the plain sum needs six.
//
//     planes of a pair's four pixels d    d0 - d2    d1 + d2             d2 - d1             d1 - d3
//     and of a row g of the kernel        g0         (g0 + g1 + g2) / 2  (g0 - g1 + g2) / 2  g2
//     their products, summed over rows and channels: m0, m1, m2, m3
//     the pair                            m0 + m1 + m2, m1 - m2 - m3
//
// A pixel that is NaN makes those outputs NaN that read it, and no others.
//
// Source: Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, section 4.
#pragma once

#include "kernels.hpp"
#include "maps.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <cstring>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int kPlanes = 4;
constexpr int64_t kFewPixels = 400;  // of a map whose planes and those of the kernels cost more than they save

inline bool pairs_pay(const Window& across, int64_t height, int64_t width) {
    return across.size == 3 && across.stride == 1 && across.dilation == 1 && height * width >= kFewPixels;
}

// Columns of pairs, of which the first reads from the input pixel `origin` on.
inline Axis pair_axis(int64_t origin, int64_t inputs, int64_t outputs) {
    Axis axis{(outputs + 1) / 2, 0, 1, inputs, 2, {}, {}, 0};
    for (int64_t k = 0; k < kPlanes; ++k) {
        axis.origin.push_back(origin);
        axis.taps.push_back({k, k, 0});
    }
    return axis;
}

// The planes of `kernels` kernels of `rows` rows, plane after plane; `turned` if their columns are
// to be read backwards.
inline void planes_of_kernels(const float* weights, int64_t kernels, int64_t rows, bool turned, float* planes, int threads) {
    const int64_t all = kernels * rows;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < all; ++i) {
        const float first = weights[3 * i + (turned ? 2 : 0)], middle = weights[3 * i + 1];
        const float last = weights[3 * i + (turned ? 0 : 2)];
        const float outer = 0.5f * (first + last), inner = 0.5f * middle;
        planes[i] = first;
        planes[all + i] = outer + inner;
        planes[2 * all + i] = outer - inner;
        planes[3 * all + i] = last;
    }
}

// `fill`, in maps.hpp, for pairs. `row` holds a row of pixels with what lies around it, zero at first.
inline void fill_pairs(const Sweep& s, const float* x, const float* end, int64_t top, float* cells, float* row) {
    const int64_t images = s.images, width = s.columns.inputs, plane = s.rows.inputs * width, pairs = s.pitch;
    const int64_t origin = s.columns.origin[0], from = std::max<int64_t>(0, -origin);
    const int64_t count = std::max<int64_t>(0, std::min(2 * pairs + 2, width - origin) - from);
    const int64_t block = s.cell_rows * pairs * images;
    float* const begin = cells;
    for (int64_t row_origin : s.rows.origin) {
        for (int64_t q = 0; q < s.cell_rows; ++q) {
            float* to = cells + q * pairs * images;
            const int64_t input = row_origin + (top + q) * s.rows.stride;
            if (input < 0 || input >= s.rows.inputs) {
                for (int k = 0; k < kPlanes; ++k) std::memset(to + k * block, 0, pairs * images * sizeof(float));
                continue;
            }
            const float* source = x + input * width + origin + from;
            const auto put_planes = [&](int64_t at, Vec d0, Vec d1, Vec d2, Vec d3, int64_t room) {
                put(to + at, d0 - d2, room);
                put(to + block + at, d1 + d2, room);
                put(to + 2 * block + at, d2 - d1, room);
                put(to + 3 * block + at, d1 - d3, room);
            };
            if (images == 1) {
                copy(row + from, source, count);
                for (int64_t j = 0; j < pairs; j += kLanes) {
                    const float* d = row + 2 * j;
                    const Vec a = load(d), b = load(d + kLanes), c = load(d + 2), e = load(d + kLanes + 2);
                    put_planes(j, evens(a, b), odds(a, b), evens(c, e), odds(c, e), pairs - j);
                }
            } else {
                weave(source, plane, 1, end, count, row + from * kLanes);
                Vec d0 = load(row), d1 = load(row + kLanes);
                for (int64_t j = 0; j < pairs; ++j) {
                    const Vec d2 = load(row + (2 * j + 2) * kLanes), d3 = load(row + (2 * j + 3) * kLanes);
                    put_planes(j * kLanes, d0, d1, d2, d3, kLanes);
                    d0 = d2, d1 = d3;
                }
            }
        }
        cells += kPlanes * block;
    }
    std::memset(begin + s.used, 0, (s.channel - s.used) * sizeof(float));
}

// Takes the pairs of a band of one output row, given as four planes `apart` floats from one another,
// to their places in the map; `pixels` has room for them all.
inline void place_pairs(const Sweep& s, const float* planes, int64_t apart, int64_t top, int64_t rows, int64_t outputs,
                        float* pixels, float* map, int64_t plane, int64_t width) {
    const int64_t images = s.images, vectors = (s.flat ? 1 : rows) * s.vectors();
    for (int64_t v = 0; v < vectors; ++v) {
        const float* m = planes + v * kLanes;
        const Vec m0 = load(m), m1 = load(m + apart), m2 = load(m + 2 * apart), m3 = load(m + 3 * apart);
        const Vec even = m0 + (m1 + m2), odd = (m1 - m2) - m3;
        float* to = pixels + 2 * v * kLanes;
        if (images == 1) {
            store(to, interleaved<0>(even, odd, std::make_index_sequence<kLanes>{}));
            store(to + kLanes, interleaved<1>(even, odd, std::make_index_sequence<kLanes>{}));
        } else {
            store(to, even);
            store(to + kLanes, odd);
        }
    }
    for (int64_t i = 0; i < rows; ++i) {
        const float* source = pixels + i * 2 * s.pitch * images;
        float* target = map + (s.rows.first + (top + i) * s.rows.step) * width;
        if (images == 1)
            copy(target, source, outputs);
        else
            unweave(source, outputs, target, plane, 1);
    }
}

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
