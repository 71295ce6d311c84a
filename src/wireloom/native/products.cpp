// The two operators: the product and the outer product that gives its weights' gradient.
#include "kernels.hpp"
#include "vectors.hpp"

#include <algorithm>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

// ---- the product -----------------------------------------------------------------------------

struct Group {
    const int32_t* inputs;
    int64_t count;
    const int64_t* weight_start;  // null: k
    const float* weights;         // of the tile's first row
    int64_t row_stride;
};

inline const float* weight_of(const Group& g, int64_t k) {
    return g.weights + (g.weight_start ? g.weight_start[k] : k);
}

template <int R, int V>
inline void product_tile(const Group& g, const float* bias, const float* x, float* y, int64_t batch) {
    Vec sums[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) sums[r][v] = spread(bias ? bias[r] : 0.0f);
    for (int64_t k = 0; k < g.count; ++k) {
        const float* column = x + g.inputs[k] * batch;
        const float* weight = weight_of(g, k);
        Vec values[V];
        for (int v = 0; v < V; ++v) values[v] = load(column + v * kLanes);
        for (int r = 0; r < R; ++r) {
            const Vec w = spread(weight[r * g.row_stride]);
            for (int v = 0; v < V; ++v) sums[r][v] += w * values[v];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(y + r * batch + v * kLanes, sums[r][v]);
}

template <int R>
void product_rows(const Group& g, const float* bias, const float* x, float* y, int64_t batch) {
    int64_t b = 0;
    if constexpr (R == 1)  // one row alone needs more columns to keep the multipliers busy
        for (; b + 2 * kTile <= batch; b += 2 * kTile)
            product_tile<R, 2 * kVectors>(g, bias, x + b, y + b, batch);
    for (; b + kTile <= batch; b += kTile) product_tile<R, kVectors>(g, bias, x + b, y + b, batch);
    for (; b + kLanes <= batch; b += kLanes) product_tile<R, 1>(g, bias, x + b, y + b, batch);
    for (; b < batch; ++b) {
        float sums[R];
        for (int r = 0; r < R; ++r) sums[r] = bias ? bias[r] : 0.0f;
        for (int64_t k = 0; k < g.count; ++k) {
            const float value = x[g.inputs[k] * batch + b];
            const float* weight = weight_of(g, k);
            for (int r = 0; r < R; ++r) sums[r] += weight[r * g.row_stride] * value;
        }
        for (int r = 0; r < R; ++r) y[r * batch + b] = sums[r];
    }
}

void product(const ProductArgs& a, int threads) {
    using Rows = void (*)(const Group&, const float*, const float*, float*, int64_t);
    static constexpr Rows by_rows[kRows + 1] = {nullptr,         product_rows<1>, product_rows<2>, product_rows<3>,
                                                product_rows<4>, product_rows<5>, product_rows<6>};
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (int64_t g = 0; g < a.groups; ++g) {
        const int64_t first = a.row_start[g], rows = a.row_start[g + 1] - first;
        const int64_t begin = a.input_start[g];
        const int64_t stride = a.row_stride ? a.row_stride[g] : 1;
        const float* weights = a.weight_start ? a.weights : a.weights + a.weight_first[g];
        const int64_t tiles = (rows + kRows - 1) / kRows;
        for (int64_t t = 0; t < tiles; ++t) {  // tiles of nearly equal height: 7 rows are 4 + 3
            const int64_t top = rows * t / tiles, bottom = rows * (t + 1) / tiles;
            const Group group{a.inputs + begin, a.input_start[g + 1] - begin,
                              a.weight_start ? a.weight_start + begin : nullptr, weights + top * stride, stride};
            by_rows[bottom - top](group, a.bias ? a.bias + first + top : nullptr, a.x, a.y + (first + top) * a.batch,
                                  a.batch);
        }
    }
}

// ---- the outer product -----------------------------------------------------------------------

// A tile of R rows and kLanes / R inputs: as many sums as a vector has lanes, so that one tree of
// additions finishes all of them.
template <int R>
inline void outer_tile(const float* dy, const float* const* x, float* gradient, int64_t stride, int64_t kept,
                       int64_t batch) {
    constexpr int K = kLanes / R;
    Vec sums[kLanes] = {};
    int64_t b = 0;
    for (; b + kLanes <= batch; b += kLanes) {
        Vec gradients[R];
        for (int r = 0; r < R; ++r) gradients[r] = load(dy + r * batch + b);
        for (int k = 0; k < K; ++k) {
            const Vec value = load(x[k] + b);
            for (int r = 0; r < R; ++r) sums[r * K + k] += gradients[r] * value;
        }
    }
    float totals[kLanes];
    store(totals, sum_each(sums));
    for (int r = 0; r < R; ++r)
        for (int64_t k = 0; k < kept; ++k) {
            float total = totals[r * K + k];
            for (int64_t t = b; t < batch; ++t) total += dy[r * batch + t] * x[k][t];
            gradient[r * stride + k] = total;
        }
}

template <int R>
void outer_rows(const OuterArgs& a, int64_t row, const int32_t* inputs, int64_t count, float* gradient) {
    constexpr int64_t K = kLanes / R;
    const float* x[K];
    for (int64_t k = 0; k < count; k += K) {
        // The last tile overlaps the one before; where there is none, it repeats its last input.
        const int64_t from = std::max<int64_t>(0, std::min(k, count - K)), kept = std::min(K, count - from);
        for (int64_t i = 0; i < K; ++i) x[i] = a.x + inputs[from + std::min(i, kept - 1)] * a.batch;
        outer_tile<R>(a.dy + row * a.batch, x, gradient + from, count, kept, a.batch);
    }
}

void outer(const OuterArgs& a, int threads) {
    using Rows = void (*)(const OuterArgs&, int64_t, const int32_t*, int64_t, float*);
    static constexpr Rows by_rows[] = {nullptr, outer_rows<1>, outer_rows<kOuterRows < 2 ? 1 : 2>,
                                       outer_rows<kOuterRows < 3 ? 1 : 3>, outer_rows<kOuterRows < 4 ? 1 : 4>};
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (int64_t g = 0; g < a.groups; ++g) {
        const int64_t first = a.row_start[g], rows = a.row_start[g + 1] - first;
        const int64_t begin = a.input_start[g], count = a.input_start[g + 1] - begin;
        const int64_t tiles = (rows + kOuterRows - 1) / kOuterRows;
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t top = rows * t / tiles, bottom = rows * (t + 1) / tiles;
            by_rows[bottom - top](a, first + top, a.inputs + begin, count,
                                  a.gradient + a.weight_first[g] + top * count);
        }
    }
}

}  // namespace

extern const Products products;
const Products products = {product, outer};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
