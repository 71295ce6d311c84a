// Steps of the optimisers over all parameters of a population at once.
//
// Compiled without contraction of a * b + c, so that a parameter's bits depend neither on where it
// lies nor on the instruction set. The formulas, operation by operation, are those of
// wireloom.training.optimiser.
#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

// Calls visit(parameter, member, begin, end) over every member's span of every parameter, in
// pieces for the threads. For elementwise work only: where a piece begins must not show in the
// result.
template <class Visit>
void each_piece(const Parameters& parameters, int threads, Visit visit) {
    constexpr int64_t kPiece = 16384;
    const int64_t members = parameters.members;
    const auto size = [&](int64_t n) { return parameters.list[n].start[members]; };
    std::vector<int64_t> first(parameters.count + 1);  // piece of each parameter
    for (int64_t n = 0; n < parameters.count; ++n) first[n + 1] = first[n] + (size(n) + kPiece - 1) / kPiece;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t piece = 0; piece < first[parameters.count]; ++piece) {
        const int64_t n = std::upper_bound(first.begin(), first.end(), piece) - first.begin() - 1;
        const Parameter& parameter = parameters.list[n];
        const int64_t begin = (piece - first[n]) * kPiece, stop = std::min(size(n), begin + kPiece);
        int64_t m = std::upper_bound(parameter.start, parameter.start + members + 1, begin) - parameter.start - 1;
        for (int64_t at = begin; at < stop; ++m) {
            const int64_t end = std::min(stop, parameter.start[m + 1]);
            if (end > at) visit(parameter, m, at, end);
            at = end;
        }
    }
}

void sgd(const SgdArgs& a, int threads) {
    each_piece(a.parameters, threads, [&](const Parameter& of, int64_t m, int64_t begin, int64_t end) {
        const float rate = a.rate[m], decay = a.decay[m], clip = a.clip ? a.clip[m] : 1.0f;
        const float momentum = a.momentum;
        float* __restrict p = of.value;
        float* __restrict v = of.first;
        const float* __restrict g = of.gradient;
        if (a.nesterov)
            for (int64_t i = begin; i < end; ++i) {
                const float d = g[i] * clip + decay * p[i], moved = momentum * v[i] + d;
                v[i] = moved;
                p[i] -= rate * (d + momentum * moved);
            }
        else
            for (int64_t i = begin; i < end; ++i) {
                const float moved = momentum * v[i] + (g[i] * clip + decay * p[i]);
                v[i] = moved;
                p[i] -= rate * moved;
            }
    });
}

void adam(const AdamArgs& a, int threads) {
    each_piece(a.parameters, threads, [&](const Parameter& of, int64_t m, int64_t begin, int64_t end) {
        const float rate = a.rate[m], clip = a.clip ? a.clip[m] : 1.0f;
        const float shrink = a.decoupled ? 1.0f - rate * a.decay[m] : 1.0f;
        const float decay = a.decoupled ? 0.0f : a.decay[m];
        const float step = rate / a.correction1, root = std::sqrt(a.correction2);
        const float fresh1 = a.fresh1, beta2 = a.beta2, fresh2 = a.fresh2, epsilon = a.epsilon;
        float* __restrict p = of.value;
        float* __restrict first = of.first;
        float* __restrict second = of.second;
        const float* __restrict g = of.gradient;
        for (int64_t i = begin; i < end; ++i) {
            const float d = g[i] * clip + decay * p[i];
            const float mean = first[i] + fresh1 * (d - first[i]);
            const float square = beta2 * second[i] + fresh2 * d * d;
            first[i] = mean;
            second[i] = square;
            p[i] = p[i] * shrink - step * mean / (std::sqrt(square) / root + epsilon);
        }
    });
}

// Lanes are counted from a member's own first value.
void square_norms(const Parameters& parameters, double* sums, int threads) {
    constexpr int kWide = 8;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t m = 0; m < parameters.members; ++m)
        for (int64_t n = 0; n < parameters.count; ++n) {
            const Parameter& of = parameters.list[n];
            const float* values = of.gradient + of.start[m];
            const int64_t count = of.start[m + 1] - of.start[m];
            double parts[kWide] = {};
            int64_t i = 0;
            for (; i + kWide <= count; i += kWide)
                for (int k = 0; k < kWide; ++k) parts[k] += static_cast<double>(values[i + k]) * values[i + k];
            for (int k = 0; i + k < count; ++k) parts[k] += static_cast<double>(values[i + k]) * values[i + k];
            for (int half = kWide / 2; half; half /= 2)
                for (int k = 0; k < half; ++k) parts[k] += parts[k + half];
            sums[m] += parts[0];
        }
}

}  // namespace

extern const Optimisers optimisers;
const Optimisers optimisers = {sgd, adam, square_norms};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
