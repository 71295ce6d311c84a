// Elementwise functions and sums over pixels.
//
// Compiled without contraction of a * b + c, as all that is not a product is.
#include "exponential.hpp"
#include "kernels.hpp"

#include <algorithm>

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

}  // namespace

extern const Activations activations;
const Activations activations = {any_exponential, any_sigmoid, row_sums};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
