// The loss of many members on shared labels, and its gradient.
//
// Compiled without contraction of a * b + c, as all that is not a product is.
#include "exponential.hpp"
#include "kernels.hpp"

#include <algorithm>
#include <cmath>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

// Samples lie in lanes; the last ones of a batch share their vector with zeros.
void loss(const LossArgs& a, int threads) {
    const float off = a.smoothing / static_cast<float>(a.classes), on = 1.0f - a.smoothing + off;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t m = 0; m < a.members; ++m) {
        const float* logits = a.logits + m * a.classes * a.batch;
        float* gradient = a.gradient ? a.gradient + m * a.classes * a.batch : nullptr;
        const Vec count = spread(static_cast<float>(a.batch));
        double total = 0.0;
        int32_t wrong = 0;
        for (int64_t b = 0; b < a.batch; b += kLanes) {
            const int64_t live = std::min<int64_t>(kLanes, a.batch - b);
            const auto at = [&](int64_t c) {
                const float* from = logits + c * a.batch + b;
                return live == kLanes ? load(from) : load_some(from, live);
            };
            const auto give = [&](int64_t c, Vec v) {
                float* to = gradient + c * a.batch + b;
                if (live == kLanes) store(to, v);
                else store_some(to, v, live);
            };
            int32_t labels[kLanes] = {};
            for (int64_t i = 0; i < live; ++i) labels[i] = static_cast<int32_t>(a.labels[b + i]);
            Words label;
            std::memcpy(&label, labels, sizeof label);
            Vec target = {};
            for (int64_t c = 0; c < a.classes; ++c) target = Words{} + static_cast<int32_t>(c) == label ? at(c) : target;
            Vec top = target;
            Words right = target == target;
            for (int64_t c = 0; c < a.classes; ++c) {
                const Vec value = at(c);
                const Words here = Words{} + static_cast<int32_t>(c);
                right &= (here == label) | (value < target) | ((here > label) & (value == target));
                top = (value > top) | (value != value) ? value : top;
            }
            for (int64_t i = 0; i < live; ++i) wrong += !right[i];
            Vec norm = {}, level = {};
            for (int64_t c = 0; c < a.classes; ++c) {
                const Vec value = at(c) - top, power = exponential(value);
                if (gradient) give(c, power);
                norm += power;
                level += value;
            }
            const Vec lost = spread(on - off) * (target - top) + (off > 0.0f ? spread(off) * level : Vec{});
            float norms[kLanes], losts[kLanes];
            store(norms, norm), store(losts, lost);
            for (int64_t i = 0; i < live; ++i) total += std::log(norms[i]) - losts[i];
            if (!gradient) continue;
            const Vec share = spread(1.0f) / (norm * count), on_share = spread(on) / count, off_share = spread(off) / count;
            for (int64_t c = 0; c < a.classes; ++c) {
                const float* from = gradient + c * a.batch + b;
                const Vec power = live == kLanes ? load(from) : load_some(from, live);
                give(c, power * share - (Words{} + static_cast<int32_t>(c) == label ? on_share : off_share));
            }
        }
        a.losses[m] = static_cast<float>(total / static_cast<double>(a.batch));
        a.wrong[m] = wrong;
    }
}

}  // namespace

extern const Losses losses;
const Losses losses = {loss};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
