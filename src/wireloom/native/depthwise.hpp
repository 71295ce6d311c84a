// Groups of one row that reads one channel, as those of depthwise convolutions, in one body.
//
// Nothing is shared there, so nothing pays for the copies that other groups work on. Where the
// output map is as large as the input map over the stride, all maps of a channel are one line of
// pixels: each tap reads that line a fixed distance away, but for the pixels at a map's edges, which
// masks leave out. With a stride the line is that of every stride-th pixel, one line for each
// remainder (a phase).
#pragma once

#include "kernels.hpp"
#include "maps.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

// Whether a group is one row that reads one channel alone.
inline bool alone(const Side& side, int64_t group) {
    const int64_t block = side.first[group];
    if (side.rows(group) != 1 || side.first[group + 1] != block + 1) return false;
    const int64_t node = side.node(block);
    return side.left[node + 1] - side.left[node] == 1;
}

// Whether each output pixel lies over the input pixel of its place times the stride.
inline bool aligned(const Maps& m) {
    return m.out_height == (m.height + m.down.stride - 1) / m.down.stride &&
           m.out_width == (m.width + m.across.stride - 1) / m.across.stride;
}

constexpr uint32_t kAll = (1u << kLanes) - 1;

#if defined(__AVX512F__)
constexpr bool kLoadsInPlace = true;
inline Vec load_where(const float* from, uint32_t bits) {
    asm("" : "+r"(bits));  // shifted where that is cheap: not among the masks
    return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>(bits), from);
}
#else
constexpr bool kLoadsInPlace = false;
constexpr std::array<std::array<int32_t, kLanes>, 1 << kLanes> every_mask() {
    std::array<std::array<int32_t, kLanes>, 1 << kLanes> masks{};
    for (int bits = 0; bits < 1 << kLanes; ++bits)
        for (int i = 0; i < kLanes; ++i) masks[bits][i] = bits >> i & 1 ? -1 : 0;
    return masks;
}
constexpr auto kMasks = every_mask();
inline Vec load_where(const float* from, uint32_t bits) { return masked(load(from), kMasks[bits].data()); }
#endif

// A vector, or so much of it as there is room for.
inline void put(float* to, Vec v, int64_t room) {
    if (room >= kLanes)
        store(to, v);
    else if (room > 0)
        store_some(to, v, room);
}

// Sums over taps, of lines of pixels.
struct Line {
    struct Tap {
        int64_t weight, phase, offset;
    };
    int64_t pixels;
    std::vector<Tap> taps;
    // Of kAtOnce vectors at a time, kLanes bits each: which pixels a tap reads. [period, taps]
    int64_t period;
    std::vector<uint64_t> bits;

    static constexpr int kAtOnce = 4;
    int64_t vectors() const { return (pixels + kLanes - 1) / kLanes; }
    // The mask of a single vector, without the lanes beyond the line's end.
    uint32_t mask(int64_t vector, int64_t tap) const {
        const int64_t left = std::min<int64_t>(kLanes, pixels - vector * kLanes);
        const uint64_t word = bits[vector / kAtOnce % period * static_cast<int64_t>(taps.size()) + tap];
        return static_cast<uint32_t>(word >> vector % kAtOnce * kLanes) & ((1u << left) - 1);
    }
};

// What an axis' tap reads: a phase, how many places on, and how many places that phase has.
struct Step {
    int64_t tap, phase, by, places;
};

inline std::vector<Step> forward_steps(const Window& w, int64_t inputs) {
    std::vector<Step> steps;
    for (int64_t a = 0; a < w.size; ++a) {
        const int64_t pixel = a * w.dilation - w.padding, phase = (pixel % w.stride + w.stride) % w.stride;
        steps.push_back({a, phase, (pixel - phase) / w.stride, std::max<int64_t>(0, (inputs - phase + w.stride - 1) / w.stride)});
    }
    return steps;
}
// To the inputs of one phase, from all outputs.
inline std::vector<Step> backward_steps(const Window& w, int64_t phase, int64_t outputs) {
    std::vector<Step> steps;
    for (int64_t a = 0; a < w.size; ++a) {
        const int64_t pixel = phase + w.padding - a * w.dilation;
        if (pixel % w.stride == 0) steps.push_back({a, 0, pixel / w.stride, outputs});
    }
    return steps;
}

// For the pixels of a line, kAtOnce vectors at a time: whether a step on from its row (or column,
// `of` the two) is a place of the phase.
inline std::vector<uint64_t> bits_of(const Step& step, int64_t period, int64_t height, int64_t width, bool of_row) {
    std::vector<uint64_t> bits(period);
    int64_t row = 0, column = 0;
    for (uint64_t& word : bits)
        for (int64_t lane = 0; lane < Line::kAtOnce * kLanes; ++lane) {
            const int64_t place = (of_row ? row : column) + step.by;
            word |= static_cast<uint64_t>(place >= 0 && place < step.places) << lane;
            if (++column == width) column = 0, row = row + 1 == height ? 0 : row + 1;
        }
    return bits;
}

inline Line line_of(const Maps& m, const std::vector<Step>& down, const std::vector<Step>& across, int64_t phases) {
    const int64_t height = m.out_height, width = m.out_width, plane = height * width;
    Line line{m.images * plane, {}, plane / std::gcd<int64_t>(plane, Line::kAtOnce * kLanes), {}};
    std::vector<std::vector<uint64_t>> columns;
    for (const Step& b : across) columns.push_back(bits_of(b, line.period, height, width, false));
    const int64_t taps = static_cast<int64_t>(down.size() * across.size());
    line.bits.resize(line.period * taps);
    for (const Step& a : down) {
        const std::vector<uint64_t> rows = bits_of(a, line.period, height, width, true);
        for (size_t b = 0; b < across.size(); ++b) {
            uint64_t* to = line.bits.data() + line.taps.size();
            for (int64_t i = 0; i < line.period; ++i) to[i * taps] = rows[i] & columns[b][i];
            line.taps.push_back({a.tap * m.across.size + across[b].tap, a.phase * phases + across[b].phase,
                                 a.by * width + across[b].by});
        }
    }
    return line;
}

// One channel's lines: the maps as they lie, or a copy for each phase with room around it.
class Lines {
public:
    Lines(const Line& line, int64_t phases, bool copied) : pixels_(line.pixels), copied_(copied) {
        for (const Line::Tap& tap : line.taps) room_ = std::max({room_, tap.offset, -tap.offset});
        room_ = (room_ + 2 * kLanes) / kLanes * kLanes;
        size_ = (pixels_ + 2 * room_ + kLanes - 1) / kLanes * kLanes;
        if (copied_) held_.resize(phases * size_);
        phases_ = phases;
    }
    float* phase(int64_t i) { return held_.data() + i * size_ + room_; }
    int64_t phases() const { return phases_; }

    // The lines of maps of height x width; where tap reads first.
    void fill(const Maps& m, const float* x, const float* end, int64_t height, int64_t width) {
        in_place_ = x;
        if (!copied_) return;
        const int64_t down = m.down.stride, across = m.across.stride;
        if (phases_ == 1) {
            std::copy(x, x + pixels_, phase(0));
            return;
        }
        const float* from = x;
        int64_t place = 0;
        for (int64_t n = 0; n < m.images; ++n)
            for (int64_t i = 0; i < m.out_height; ++i, place += m.out_width)
                for (int64_t r = 0; r < std::min(down, height - i * down); ++r, from += width) {
                    float* to = phase(r * across) + place;
                    if (across == 2 && end - from >= width + 2 * kLanes) {
                        split(from, width, to, to + size_);
                        continue;
                    }
                    for (int64_t c = 0; c < across; ++c, to += size_)
                        for (int64_t j = 0; j * across + c < width; j += kLanes) {
                            const int64_t left = (width - c - j * across + across - 1) / across;
                            store(to + j, pick(from + c + j * across, across, left, end));
                        }
                }
    }
    const float* at(const Line::Tap& tap) {
        return (copied_ ? phase(tap.phase) : in_place_) + tap.offset;
    }

private:
    // Every second pixel of a row, and the others; also some of the next row's, which a later copy
    // overwrites or a mask leaves out.
    static void split(const float* from, int64_t width, float* even, float* odd) {
        for (int64_t j = 0; j < width; j += 2 * kLanes) {
            const Vec a = load(from + j), b = load(from + j + kLanes), first = evens(a, b), second = odds(a, b);
            if (width - j <= kLanes) {
                std::memcpy(even + j / 2, &first, sizeof first / 2);
                std::memcpy(odd + j / 2, &second, sizeof second / 2);
            } else {
                store(even + j / 2, first);
                store(odd + j / 2, second);
            }
        }
    }

    int64_t pixels_, room_ = 0, size_ = 0, phases_ = 0;
    bool copied_;
    const float* in_place_ = nullptr;
    std::vector<float> held_;
};

// y = sum of the taps' lines, each by its weight.
void sum_line(const Line& line, const float* weights, const float* const* sources, float* y) {
    constexpr int V = Line::kAtOnce;
    const int64_t taps = static_cast<int64_t>(line.taps.size());
    const uint64_t *masks = line.bits.data(), *const end = masks + line.bits.size();
    int64_t v = 0;
    for (; (v + V) * kLanes <= line.pixels; v += V) {
        Vec sums[V];
        for (int i = 0; i < V; ++i) sums[i] = Vec{};
        for (int64_t t = 0; t < taps; ++t) {
            const Vec w = spread(weights[t]);
            const float* from = sources[t] + v * kLanes;
            const uint64_t bits = masks[t];
            for (int i = 0; i < V; ++i)
                sums[i] += w * load_where(from + i * kLanes, static_cast<uint32_t>(bits >> i * kLanes) & kAll);
        }
        for (int i = 0; i < V; ++i) store(y + (v + i) * kLanes, sums[i]);
        if ((masks += taps) == end) masks = line.bits.data();
    }
    for (; v < line.vectors(); ++v) {
        Vec sum{};
        for (int64_t t = 0; t < taps; ++t)
            sum += spread(weights[t]) * load_where(sources[t] + v * kLanes, line.mask(v, t));
        put(y + v * kLanes, sum, line.pixels - v * kLanes);
    }
}

// Rows of the input map from the lines of their phases.
void join_phases(const Maps& m, Lines& lines, float* x) {
    const int64_t down = m.down.stride, across = m.across.stride;
    float* to = x;
    int64_t place = 0;
    for (int64_t n = 0; n < m.images; ++n)
        for (int64_t i = 0; i < m.out_height; ++i, place += m.out_width)
            for (int64_t r = 0; r < std::min(down, m.height - i * down); ++r, to += m.width) {
                if (across == 2) {
                    const float *even = lines.phase(r * across) + place, *odd = lines.phase(r * across + 1) + place;
                    for (int64_t j = 0; j < m.width; j += 2 * kLanes) {
                        const Vec a = load(even + j / 2), b = load(odd + j / 2);
                        put(to + j, interleaved<0>(a, b, std::make_index_sequence<kLanes>{}), m.width - j);
                        put(to + j + kLanes, interleaved<1>(a, b, std::make_index_sequence<kLanes>{}),
                            m.width - j - kLanes);
                    }
                } else {
                    for (int64_t c = 0; c < across; ++c) {
                        const float* from = lines.phase(r * across + c) + place;
                        for (int64_t j = 0; j * across + c < m.width; ++j) to[j * across + c] = from[j];
                    }
                }
            }
}

// The groups that are alone, of a convolution.
void convolve_alone(const ConvolutionArgs& a, const Side& side, int threads) {
    const Maps& m = a.maps;
    const int64_t phases = m.down.stride * m.across.stride;
    const int64_t in_floats = m.images * m.height * m.width, out_floats = m.images * m.out_height * m.out_width;
    std::vector<Line> lines;
    if (!a.back) {
        lines.push_back(line_of(m, forward_steps(m.down, m.height), forward_steps(m.across, m.width), m.across.stride));
    } else {
        for (int64_t i = 0; i < m.down.stride; ++i)
            for (int64_t j = 0; j < m.across.stride; ++j)
                lines.push_back(line_of(m, backward_steps(m.down, i, m.out_height),
                                        backward_steps(m.across, j, m.out_width), 1));
    }
#pragma omp parallel num_threads(threads)
    {
        std::vector<Lines> sources;
        for (const Line& line : lines)
            sources.emplace_back(line, a.back ? 1 : phases, !kLoadsInPlace || (!a.back && phases > 1));
        Lines results(Line{lines[0].pixels, {}, 1, {}}, phases, a.back && phases > 1);
        std::vector<const float*> from(m.taps());
        std::vector<float> weights(m.taps());
#pragma omp for schedule(dynamic, 8)
        for (int64_t g = 0; g < side.groups; ++g) {
            if (!alone(side, g)) continue;
            const int64_t block = side.first[g], input = side.left[side.node(block)], row = side.top[g];
            const float* kernel = a.weights + m.taps() * (a.back ? side.weight(block) : a.plan.weight_first[g]);
            const float* x = a.x + input * (a.back ? out_floats : in_floats);
            float* y = a.y + row * (a.back ? in_floats : out_floats);
            for (size_t i = 0; i < lines.size(); ++i) {
                sources[i].fill(m, x, a.x + (a.back ? a.plan.rows * out_floats : a.plan.columns * in_floats), a.back ? m.out_height : m.height,
                                a.back ? m.out_width : m.width);
                for (size_t t = 0; t < lines[i].taps.size(); ++t) {
                    from[t] = sources[i].at(lines[i].taps[t]);
                    weights[t] = kernel[lines[i].taps[t].weight];
                }
                sum_line(lines[i], weights.data(), from.data(), a.back && phases > 1 ? results.phase(i) : y);
            }
            if (a.back && phases > 1) join_phases(m, results, y);
        }
    }
}

// Sums over the pixels of N taps from `first` on, in pieces of some vectors.
template <int N>
void slopes_of_taps(const Line& line, const float* dy, const float* const* sources, int64_t first, float* gradient) {
    constexpr int V = Line::kAtOnce;
    constexpr int64_t kPiece = 256;
    const int64_t taps = static_cast<int64_t>(line.taps.size());
    const uint64_t *masks = line.bits.data() + first, *const last = masks + line.bits.size();
    float totals[N] = {};
    for (int64_t v = 0; v < line.vectors();) {
        const int64_t end = std::min(line.vectors(), v + kPiece);
        Vec sums[N];
        for (int t = 0; t < N; ++t) sums[t] = Vec{};
        for (; v + V <= end && (v + V) * kLanes <= line.pixels; v += V) {
            Vec slopes[V];
            for (int i = 0; i < V; ++i) slopes[i] = load(dy + (v + i) * kLanes);
            for (int t = 0; t < N; ++t) {
                const float* from = sources[first + t] + v * kLanes;
                const uint64_t bits = masks[t];
                for (int i = 0; i < V; ++i)
                    sums[t] += slopes[i] * load_where(from + i * kLanes, static_cast<uint32_t>(bits >> i * kLanes) & kAll);
            }
            if ((masks += taps) == last) masks = line.bits.data() + first;
        }
        for (; v < end; ++v) {
            const int64_t left = line.pixels - v * kLanes;
            const Vec slope = left < kLanes ? load_some(dy + v * kLanes, left) : load(dy + v * kLanes);
            for (int t = 0; t < N; ++t)
                sums[t] += slope * load_where(sources[first + t] + v * kLanes, line.mask(v, first + t));
        }
        for (int t = 0; t < N; ++t) totals[t] += sum(sums[t]);
    }
    for (int t = 0; t < N; ++t) gradient[line.taps[first + t].weight] = totals[t];
}

constexpr int kTapsAtOnce = 9;
using Slopes = void (*)(const Line&, const float*, const float* const*, int64_t, float*);
template <int... N>
constexpr std::array<Slopes, kTapsAtOnce + 1> every_slopes(std::integer_sequence<int, N...>) {
    return {nullptr, slopes_of_taps<N + 1>...};
}
constexpr auto kSlopes = every_slopes(std::make_integer_sequence<int, kTapsAtOnce>{});

// The same for the weights' gradient.
void slopes_alone(const ConvolutionOuterArgs& a, const Side& side, int threads) {
    const Maps& m = a.maps;
    const int64_t phases = m.down.stride * m.across.stride;
    const int64_t in_floats = m.images * m.height * m.width, out_floats = m.images * m.out_height * m.out_width;
    const Line line = line_of(m, forward_steps(m.down, m.height), forward_steps(m.across, m.width), m.across.stride);
    const int64_t taps = m.taps(), passes = (taps + kTapsAtOnce - 1) / kTapsAtOnce;
#pragma omp parallel num_threads(threads)
    {
        Lines source(line, phases, !kLoadsInPlace || phases > 1);
        std::vector<const float*> from(taps);
#pragma omp for schedule(dynamic, 8)
        for (int64_t g = 0; g < side.groups; ++g) {
            if (!alone(side, g)) continue;
            const float* x = a.x + side.left[side.node(side.first[g])] * in_floats;
            source.fill(m, x, a.x + a.plan.columns * in_floats, m.height, m.width);
            for (int64_t t = 0; t < taps; ++t) from[t] = source.at(line.taps[t]);
            for (int64_t p = 0; p < passes; ++p) {
                const int64_t first = taps * p / passes, count = taps * (p + 1) / passes - first;
                kSlopes[count](line, a.dy + side.top[g] * out_floats, from.data(), first,
                               a.gradient + a.plan.weight_first[g] * taps);
            }
        }
    }
}

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
