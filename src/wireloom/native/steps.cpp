// The rest of a training step: normalisation with ReLU, the loss, the optimisers.
//
// Compiled without contraction of a * b + c: a compiler may contract the vector body of a loop and
// its tail differently, and then an element's bits would depend on where it lies.
#include "kernels.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <cmath>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

// ---- normalisation ---------------------------------------------------------------------------

// ReLU as torch has it: NaN stays NaN, and its gradient passes.
inline float rectified(float value) { return value < 0.0f ? 0.0f : value; }

void norm(const NormArgs& a, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t f = 0; f < a.features; ++f) {
        const float* x = a.x + f * a.batch;
        float* y = a.y + f * a.batch;
        if (a.training) {
            Vec total = {};
            int64_t b = 0;
            for (; b + kLanes <= a.batch; b += kLanes) total += load(x + b);
            float mean = sum(total);
            for (; b < a.batch; ++b) mean += x[b];
            mean /= static_cast<float>(a.batch);
            Vec squares = {};
            for (b = 0; b + kLanes <= a.batch; b += kLanes) {
                const Vec centred = load(x + b) - spread(mean);
                squares += centred * centred;
            }
            float variance = sum(squares);
            for (; b < a.batch; ++b) variance += (x[b] - mean) * (x[b] - mean);
            const float unbiased = variance / static_cast<float>(a.batch - 1);
            variance /= static_cast<float>(a.batch);
            a.mean[f] = mean;
            a.rstd[f] = 1.0f / std::sqrt(variance + a.epsilon);
            a.running_mean[f] += a.momentum * (mean - a.running_mean[f]);
            a.running_variance[f] += a.momentum * (unbiased - a.running_variance[f]);
        } else {
            a.mean[f] = a.running_mean[f];
            a.rstd[f] = 1.0f / std::sqrt(a.running_variance[f] + a.epsilon);
        }
        const float factor = a.scale[f] * a.rstd[f], offset = a.shift[f], mean = a.mean[f];
        if (a.relu)
            for (int64_t b = 0; b < a.batch; ++b) y[b] = rectified((x[b] - mean) * factor + offset);
        else
            for (int64_t b = 0; b < a.batch; ++b) y[b] = (x[b] - mean) * factor + offset;
    }
}

void norm_backward(const NormBackwardArgs& a, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t f = 0; f < a.features; ++f) {
        const float* x = a.x + f * a.batch;
        const float* y = a.y + f * a.batch;
        const float* dy = a.dy + f * a.batch;
        float* dx = a.dx + f * a.batch;
        const float mean = a.mean[f], rstd = a.rstd[f];
        Vec shifts = {}, scales = {};
        int64_t b = 0;
        for (; b + kLanes <= a.batch; b += kLanes) {
            Vec g = load(dy + b);
            if (a.relu) {
                const Vec out = load(y + b);
                g = out <= spread(0.0f) ? Vec{} : g;
            }
            store(dx + b, g);
            shifts += g;
            scales += g * (load(x + b) - spread(mean));
        }
        float shift = sum(shifts), scale = sum(scales);
        for (; b < a.batch; ++b) {
            const float g = a.relu && y[b] <= 0.0f ? 0.0f : dy[b];
            dx[b] = g;
            shift += g;
            scale += g * (x[b] - mean);
        }
        scale *= rstd;
        a.dshift[f] = shift;
        a.dscale[f] = scale;
        const float factor = a.scale[f] * rstd, count = static_cast<float>(a.batch);
        const float level = shift / count, slope = scale * rstd / count;
        for (b = 0; b < a.batch; ++b) dx[b] = factor * (dx[b] - level - (x[b] - mean) * slope);
    }
}

// ---- the loss --------------------------------------------------------------------------------

void loss(const LossArgs& a, int threads) {
    const float off = a.smoothing / static_cast<float>(a.classes), on = 1.0f - a.smoothing + off;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t m = 0; m < a.members; ++m) {
        const float* logits = a.logits + m * a.classes * a.batch;
        float* gradient = a.gradient ? a.gradient + m * a.classes * a.batch : nullptr;
        double total = 0.0;
        int32_t wrong = 0;
        for (int64_t b = 0; b < a.batch; ++b) {
            const int64_t label = a.labels[b];
            const float target = logits[label * a.batch + b];
            float top = target;
            bool right = target == target;
            for (int64_t c = 0; c < a.classes; ++c) {
                const float value = logits[c * a.batch + b];
                right &= c == label || (c < label ? value < target : value <= target);
                top = value > top || value != value ? value : top;
            }
            wrong += !right;
            float norm = 0.0f, level = 0.0f;
            for (int64_t c = 0; c < a.classes; ++c) {
                const float value = logits[c * a.batch + b] - top, power = std::exp(value);
                if (gradient) gradient[c * a.batch + b] = power;
                norm += power;
                level += value;
            }
            total += std::log(norm) - (on - off) * (target - top) - (off > 0.0f ? off * level : 0.0f);
            if (gradient)
                for (int64_t c = 0; c < a.classes; ++c)
                    gradient[c * a.batch + b] =
                        (gradient[c * a.batch + b] / norm - (c == label ? on : off)) / static_cast<float>(a.batch);
        }
        a.losses[m] = static_cast<float>(total / static_cast<double>(a.batch));
        a.wrong[m] = wrong;
    }
}

// ---- optimisers ------------------------------------------------------------------------------

// Calls visit(member, begin, end) over every member's span, in pieces for the threads. For
// elementwise work only: where a piece begins must not show in the result.
template <class Visit>
void each_piece(const Spans& spans, int threads, Visit visit) {
    constexpr int64_t kPiece = 16384;
    const int64_t total = spans.start[spans.members];
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t begin = 0; begin < total; begin += kPiece) {
        const int64_t stop = std::min(total, begin + kPiece);
        int64_t m = std::upper_bound(spans.start, spans.start + spans.members + 1, begin) - spans.start - 1;
        for (int64_t at = begin; at < stop; ++m) {
            const int64_t end = std::min(stop, spans.start[m + 1]);
            if (end > at) visit(m, at, end);
            at = end;
        }
    }
}

void sgd(const SgdArgs& a, int threads) {
    each_piece(a.spans, threads, [&](int64_t m, int64_t begin, int64_t end) {
        const float rate = a.rate[m], decay = a.decay[m], clip = a.clip ? a.clip[m] : 1.0f;
        const float momentum = a.momentum;
        float* __restrict p = a.parameter;
        float* __restrict v = a.velocity;
        const float* __restrict g = a.gradient;
        if (a.nesterov)
            for (int64_t i = begin; i < end; ++i) {
                const float d = g[i] * clip + decay * p[i];
                v[i] = momentum * v[i] + d;
                p[i] -= rate * (d + momentum * v[i]);
            }
        else
            for (int64_t i = begin; i < end; ++i) {
                v[i] = momentum * v[i] + (g[i] * clip + decay * p[i]);
                p[i] -= rate * v[i];
            }
    });
}

void adam(const AdamArgs& a, int threads) {
    each_piece(a.spans, threads, [&](int64_t m, int64_t begin, int64_t end) {
        const float rate = a.rate[m], clip = a.clip ? a.clip[m] : 1.0f;
        const float shrink = a.decoupled ? 1.0f - rate * a.decay[m] : 1.0f;
        const float decay = a.decoupled ? 0.0f : a.decay[m];
        const float step = rate / a.correction1, root = std::sqrt(a.correction2);
        float* __restrict p = a.parameter;
        float* __restrict first = a.first;
        float* __restrict second = a.second;
        const float* __restrict g = a.gradient;
        for (int64_t i = begin; i < end; ++i) {
            const float d = g[i] * clip + decay * p[i];
            first[i] += (1.0f - a.beta1) * (d - first[i]);
            second[i] = a.beta2 * second[i] + (1.0f - a.beta2) * d * d;
            p[i] = p[i] * shrink - step * first[i] / (std::sqrt(second[i]) / root + a.epsilon);
        }
    });
}

void square_norms(Spans spans, const float* values, double* sums, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t m = 0; m < spans.members; ++m) {
        double total = 0.0;
        for (int64_t i = spans.start[m]; i < spans.start[m + 1]; ++i)
            total += static_cast<double>(values[i]) * values[i];
        sums[m] += total;
    }
}

}  // namespace

extern const Steps steps;
const Steps steps = {norm, norm_backward, loss, sgd, adam, square_norms};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
