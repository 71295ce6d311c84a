// Batch normalisation with what follows it: the sum with a residual, and the activation.
//
// Compiled without contraction of a * b + c: the backward pass computes the forward's values again
// and must find the same bits.
#include "exponential.hpp"
#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int kSums = 4;                // sums that run side by side, to hide the adder's latency
constexpr int64_t kBlock = 4096;        // samples of a block, which the first cache keeps
using Whole = std::integral_constant<int64_t, kLanes>;

// The lanes below `count`; the others zero.
inline Vec below(Vec v, Whole) { return v; }
inline Vec below(Vec v, int64_t count) {
    Words lane;
    for (int i = 0; i < kLanes; ++i) lane[i] = i;
    return lane < Words{} + static_cast<int32_t>(count) ? v : Vec{};
}
inline Vec load_part(const float* from, Whole) { return load(from); }
inline Vec load_part(const float* from, int64_t count) { return load_some(from, count); }
inline void store_part(float* to, Vec v, Whole) { store(to, v); }
inline void store_part(float* to, Vec v, int64_t count) { store_some(to, v, count); }

// A count of 1 .. kLanes.
inline Vec load_up_to(const float* from, int64_t count) {
    return count == kLanes ? load(from) : load_some(from, count);
}
inline void store_up_to(float* to, Vec v, int64_t count) {
    if (count == kLanes) store(to, v);
    else store_some(to, v, count);
}

// visit(b, k, live) for every vector of begin .. end: `live` of its lanes count, and k is the sum
// that it belongs to. Which, depends on begin and end alone.
template <class Visit>
inline void each_vector(int64_t begin, int64_t end, Visit visit) {
    int64_t b = begin;
    for (; b + kSums * kLanes <= end; b += kSums * kLanes)
        for (int k = 0; k < kSums; ++k) visit(b + k * kLanes, k, Whole{});
    int k = 0;
    for (; b + kLanes <= end; b += kLanes) visit(b, k++, Whole{});
    if (b < end) visit(b, k, end - b);
}
inline Vec joined(const Vec* sums) { return (sums[0] + sums[1]) + (sums[2] + sums[3]); }

inline Vec root(Vec v) {
    for (int i = 0; i < kLanes; ++i) v[i] = std::sqrt(v[i]);
    return v;
}

// Features are done a vector's lanes at a time where samples are few, so that what comes between
// the passes is vectors too; lane i of those is feature i of the group.
inline int64_t group_size(int64_t count) { return count <= kBlock ? kLanes : 1; }

// ---- forward ---------------------------------------------------------------------------------

// Mean and squared deviations of one block of each of a group's features.
struct Moments {
    Vec pivot, delta, squares;  // the mean is pivot + delta, more exact than one float
};

inline Moments moments(const NormArgs& a, int64_t feature, int64_t group, int64_t begin, int64_t end) {
    const Vec count = spread(static_cast<float>(end - begin));
    Vec totals[kLanes] = {};
    for (int64_t i = 0; i < group; ++i) {
        const float* x = a.x + (feature + i) * a.count;
        Vec sums[kSums] = {};
        each_vector(begin, end, [&](int64_t b, int k, auto live) { sums[k] += load_part(x + b, live); });
        totals[i] = joined(sums);
    }
    const Vec pivot = sum_each(totals) / count;
    Vec deviations[kLanes] = {};
    for (int64_t i = 0; i < group; ++i) {
        const float* x = a.x + (feature + i) * a.count;
        const Vec centre = spread(pivot[i]);
        Vec sums[kSums] = {}, squares[kSums] = {};
        each_vector(begin, end, [&](int64_t b, int k, auto live) {
            const Vec d = below(load_part(x + b, live) - centre, live);
            sums[k] += d;
            squares[k] += d * d;
        });
        totals[i] = joined(sums);
        deviations[i] = joined(squares);
    }
    const Vec total = sum_each(totals), delta = total / count;
    const Vec squares = sum_each(deviations) - total * delta;
    return {pivot, delta, squares < Vec{} ? Vec{} : squares};
}

// Blocks' moments joined as by Chan, Golub and LeVeque (1983), in double.
Moments long_moments(const NormArgs& a, int64_t feature) {
    double mean = 0.0, squares = 0.0;
    for (int64_t begin = 0; begin < a.count; begin += kBlock) {
        const int64_t end = std::min(a.count, begin + kBlock);
        const Moments block = moments(a, feature, 1, begin, end);
        const double before = static_cast<double>(begin), more = static_cast<double>(end - begin);
        const double apart = static_cast<double>(block.pivot[0]) + block.delta[0] - mean;
        mean += apart * (more / (before + more));
        squares += block.squares[0] + apart * apart * (before * more / (before + more));
    }
    const float pivot = static_cast<float>(mean);
    return {spread(pivot), spread(static_cast<float>(mean - pivot)), spread(static_cast<float>(squares))};
}

template <int Act>
inline Vec activated(Vec z) {
    if constexpr (Act == kRelu) return z < Vec{} ? Vec{} : z;  // as torch's: NaN stays NaN
    if constexpr (Act == kSilu) return z * sigmoid(z);
    return z;
}

// activation((x - centre) * factor + offset + residual) of `count` samples of one feature.
template <int Act, bool Residual>
void normalise(const float* x, const float* residual, float* y, int64_t count, Vec centre, Vec factor, Vec offset) {
    each_vector(0, count, [&](int64_t b, int, auto live) {
        Vec z = (load_part(x + b, live) - centre) * factor + offset;
        if constexpr (Residual) z += load_part(residual + b, live);
        store_part(y + b, activated<Act>(z), live);
    });
}

template <int Act, bool Residual>
void norm(const NormArgs& a, int threads) {
    const int64_t most = group_size(a.count);
    float *pivots = a.statistics, *deltas = pivots + a.features, *rstds = deltas + a.features;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t feature = 0; feature < a.features; feature += most) {
        const int64_t group = std::min(most, a.features - feature);
        const auto take = [&](const float* from) { return load_up_to(from + feature, group); };
        const auto give = [&](float* to, Vec v) { store_up_to(to + feature, v, group); };
        Vec mean = take(a.running_mean), variance = take(a.running_variance), pivot = mean, delta = {};
        if (a.training) {
            const Moments m =
                a.count <= kBlock ? moments(a, feature, group, 0, a.count) : long_moments(a, feature);
            pivot = m.pivot, delta = m.delta;
            const Vec momentum = spread(a.momentum), unbiased = m.squares / spread(static_cast<float>(a.count - 1));
            give(a.running_mean, mean + momentum * (pivot + delta - mean));
            give(a.running_variance, variance + momentum * (unbiased - variance));
            variance = m.squares / spread(static_cast<float>(a.count));
        }
        const Vec rstd = spread(1.0f) / root(variance + spread(a.epsilon));
        give(pivots, pivot), give(deltas, delta), give(rstds, rstd);
        const Vec factors = take(a.scale) * rstd, offsets = take(a.shift) - delta * factors;
        for (int64_t i = 0; i < group; ++i) {
            const float* x = a.x + (feature + i) * a.count;
            const float* residual = Residual ? a.residual + (feature + i) * a.count : nullptr;
            normalise<Act, Residual>(x, residual, a.y + (feature + i) * a.count, a.count, spread(pivot[i]),
                                     spread(factors[i]), spread(offsets[i]));
        }
    }
}

// ---- backward --------------------------------------------------------------------------------

template <int Act, bool Residual>
void norm_backward(const NormBackwardArgs& a, int threads) {
    // The gradient before the activation is kept where it is wanted or costs an exp, else made twice.
    constexpr bool kKept = Residual || Act == kSilu;
    const int64_t most = group_size(a.count);
    const float *pivots = a.statistics, *deltas = pivots + a.features, *rstds = deltas + a.features;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t feature = 0; feature < a.features; feature += most) {
        const int64_t group = std::min(most, a.features - feature);
        const auto take = [&](const float* from) { return load_up_to(from + feature, group); };
        const auto give = [&](float* to, Vec v) { store_up_to(to + feature, v, group); };
        const Vec pivot = take(pivots), delta = take(deltas), rstd = take(rstds);
        const Vec factors = take(a.scale) * rstd, offsets = take(a.shift) - delta * factors;
        const auto before = [&](int64_t i) {
            const float* x = a.x + (feature + i) * a.count;
            const float* dy = a.dy + (feature + i) * a.count;
            const float* gate = a.gate ? a.gate + (feature + i) * a.count : nullptr;
            const Vec centre = spread(pivot[i]), factor = spread(factors[i]), offset = spread(offsets[i]);
            return [=](int64_t b, auto live) {
                const Vec g = load_part(dy + b, live);
                if constexpr (Act == kRelu && Residual) return load_part(gate + b, live) <= Vec{} ? Vec{} : g;
                if constexpr (Act == kNone) return g;
                Vec z = (load_part(x + b, live) - centre) * factor + offset;
                if constexpr (Act == kRelu) return z <= Vec{} ? Vec{} : g;
                if constexpr (Residual) z += load_part(gate + b, live);
                const Vec s = sigmoid(z);
                return g * (s + (z * s) * (spread(1.0f) - s));
            };
        };
        Vec shifts[kLanes] = {}, scales[kLanes] = {};
        for (int64_t i = 0; i < group; ++i) {
            const float* x = a.x + (feature + i) * a.count;
            float* kept = (Residual ? a.dresidual : a.dx) + (feature + i) * a.count;
            const auto gradient = before(i);
            const Vec centre = spread(pivot[i]);
            double long_shift = 0.0, long_scale = 0.0;
            for (int64_t begin = 0; begin < a.count; begin += kBlock) {
                Vec shift[kSums] = {}, scale[kSums] = {};
                const int64_t end = std::min(a.count, begin + kBlock);
                each_vector(begin, end, [&](int64_t b, int k, auto live) {
                    const Vec g = below(gradient(b, live), live);
                    if constexpr (kKept) store_part(kept + b, g, live);
                    shift[k] += g;
                    scale[k] += g * below(load_part(x + b, live) - centre, live);
                });
                shifts[i] = joined(shift), scales[i] = joined(scale);
                if (a.count > kBlock) long_shift += sum(shifts[i]), long_scale += sum(scales[i]);
            }
            if (a.count > kBlock) {  // the sums in lane 0, where the sum over lanes leaves them
                shifts[i] = Vec{static_cast<float>(long_shift)};
                scales[i] = Vec{static_cast<float>(long_scale)};
            }
        }
        const Vec shift = sum_each(shifts), scale = (sum_each(scales) - delta * shift) * rstd;
        give(a.dshift, shift), give(a.dscale, scale);
        const Vec count = spread(static_cast<float>(a.count));
        const Vec slopes = a.training ? scale * rstd / count : Vec{};
        const Vec levels = a.training ? shift / count - delta * slopes : Vec{};
        for (int64_t i = 0; i < group; ++i) {
            const float* x = a.x + (feature + i) * a.count;
            float* dx = a.dx + (feature + i) * a.count;
            const float* kept = Residual ? a.dresidual + (feature + i) * a.count : dx;
            const auto gradient = before(i);
            const Vec centre = spread(pivot[i]), factor = spread(factors[i]);
            const Vec slope = spread(slopes[i]), level = spread(levels[i]);
            const bool training = a.training;
            each_vector(0, a.count, [&](int64_t b, int, auto live) {
                Vec g;
                if constexpr (kKept) g = load_part(kept + b, live);
                else g = gradient(b, live);
                if (training) g = g - level - (load_part(x + b, live) - centre) * slope;
                store_part(dx + b, factor * g, live);
            });
        }
    }
}

template <class Call>
void choose(int activation, bool residual, Call call) {
    const auto with = [&](auto act) {
        if (residual) call(act, std::true_type{});
        else call(act, std::false_type{});
    };
    if (activation == kRelu) with(std::integral_constant<int, kRelu>{});
    else if (activation == kSilu) with(std::integral_constant<int, kSilu>{});
    else with(std::integral_constant<int, kNone>{});
}

void any_norm(const NormArgs& a, int threads) {
    choose(a.activation, a.residual, [&](auto act, auto residual) { norm<act(), residual()>(a, threads); });
}
void any_norm_backward(const NormBackwardArgs& a, int threads) {
    choose(a.activation, a.dresidual,
           [&](auto act, auto residual) { norm_backward<act(), residual()>(a, threads); });
}

}  // namespace

// Of the samples at .. at + count of a feature's y; the bits are those of `norm`.
void finish(const Finish& f, int64_t feature, int64_t at, int64_t count, float* y) {
    const Vec rstd = spread(1.0f) / root(spread(f.variance[feature]) + spread(f.epsilon));
    const Vec factor = spread(f.scale[feature]) * rstd, offset = spread(f.shift[feature]) - Vec{} * factor;
    choose(f.activation, f.residual, [&](auto act, auto residual) {
        normalise<act(), residual()>(y + at, residual() ? f.residual + at : nullptr, y + at, count,
                                     spread(f.mean[feature]), factor, offset);
    });
}

extern const Normalisation normalisation;
const Normalisation normalisation = {any_norm, any_norm_backward};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
