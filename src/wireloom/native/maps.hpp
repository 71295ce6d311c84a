// How a convolution's maps are laid out for the kernels, in one body of them.
//
// A sweep computes output pixels that all read their input alike: all of them going forward, one
// of every stride-th row and column going back. The part of the input that a band of output rows
// reads is copied into cells: for each channel, cell rows and columns with zeros around them,
// split by the remainder of the stride, the images of a chunk innermost. In cells every tap is a
// fixed distance, whatever the stride, so a run of outputs is a contiguous stream.
#pragma once

#include "kernels.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int64_t kNominalChannels = 128;
constexpr int64_t kBandFloats = 320 * 1024;  // of a band's cells that the second cache holds

// Rows, or columns, of a sweep.
struct Axis {
    struct Tap {
        int64_t index, slot, cell;
    };
    int64_t outputs;     // positions
    int64_t first, step;  // where they lie in the output map
    int64_t inputs;      // pixels of the input map
    int64_t stride;      // input pixels from one cell to the next
    std::vector<Tap> taps;
    std::vector<int64_t> origin;  // of each slot: the input pixel of its cell 0
    int64_t reach;                // cells beyond its own that a position reads

    int64_t cells() const { return outputs + reach; }
    // The cells of a slot that hold pixels, within 0..count: first and end.
    int64_t pixels_from(int64_t slot, int64_t count) const {
        const int64_t missing = origin[slot] < 0 ? (-origin[slot] + stride - 1) / stride : 0;
        return std::min(missing, count);
    }
    int64_t pixels_to(int64_t slot, int64_t count) const {
        const int64_t left = inputs - origin[slot];
        return std::max(pixels_from(slot, count), std::min(count, left <= 0 ? 0 : (left + stride - 1) / stride));
    }
};

inline Axis forward_axis(const Window& w, int64_t inputs, int64_t outputs) {
    Axis axis{outputs, 0, 1, inputs, w.stride, {}, {}, 0};
    std::vector<int64_t> slot_of(w.stride, -1);
    for (int64_t a = 0; a < w.size; ++a) {
        const int64_t phase = a * w.dilation % w.stride, cell = a * w.dilation / w.stride;
        if (slot_of[phase] < 0) {
            slot_of[phase] = static_cast<int64_t>(axis.origin.size());
            axis.origin.push_back(phase - w.padding);
        }
        axis.taps.push_back({a, slot_of[phase], cell});
        axis.reach = std::max(axis.reach, cell);
    }
    return axis;
}

// Of the gradient's way back: the positions phase, phase + stride, ... of the input map.
inline Axis backward_axis(const Window& w, int64_t phase, int64_t inputs, int64_t outputs) {
    Axis axis{phase < outputs ? (outputs - phase + w.stride - 1) / w.stride : 0, phase, w.stride, inputs, 1, {}, {}, 0};
    int64_t least = 0;
    for (int64_t a = 0; a < w.size; ++a) {
        const int64_t pixel = phase + w.padding - a * w.dilation;
        if (pixel % w.stride) continue;
        const int64_t cell = pixel / w.stride;
        least = axis.taps.empty() ? cell : std::min(least, cell);
        axis.taps.push_back({a, 0, cell});
    }
    axis.origin.push_back(least);
    for (auto& tap : axis.taps) {
        tap.cell -= least;
        axis.reach = std::max(axis.reach, tap.cell);
    }
    return axis;
}

// A sweep for chunks of a given number of images and bands of a given number of rows.
struct Sweep {
    struct Tap {
        int64_t offset, weight;
    };
    Axis rows, columns;
    int64_t row_taps;     // taps of a row of the kernel
    int64_t images;       // of a chunk: one, or as many as a vector has lanes
    int64_t band;         // output rows
    bool flat;            // whether a band is one run, with the few cells between its rows
    int64_t pitch;        // cells from one cell row to the next
    int64_t cell_rows;
    int64_t used;         // floats of a channel's cells
    int64_t channel;      // the same, with zeros after them
    int64_t run;          // floats of a run
    int64_t run_stride;   // of its outputs in the kernels' buffers
    std::vector<Tap> taps;
    std::vector<int32_t> inside;  // of a run, as masks: which are outputs, the others lying between rows

    int64_t runs() const { return flat ? 1 : band; }
    int64_t vectors() const { return run_stride / kLanes; }

    void lay_out(int64_t chunk, int64_t rows_of_band, bool as_one_run) {
        images = chunk;
        band = rows_of_band;
        flat = as_one_run;
        const int64_t wide = columns.cells();
        int64_t shared = wide;  // zeros that end one row and begin the next
        for (int64_t s = 0; s < static_cast<int64_t>(columns.origin.size()); ++s)
            shared = std::min({shared, columns.pixels_from(s, wide), wide - columns.pixels_to(s, wide)});
        pitch = std::max(columns.outputs, wide - shared);
        cell_rows = band + rows.reach;
        const int64_t block = cell_rows * pitch * images;
        used = block * static_cast<int64_t>(rows.origin.size() * columns.origin.size());
        // Vectors at a run's end reach beyond it, but to no other channel. An odd number of vectors,
        // so that the same place of many channels does not fall on the same set of a cache.
        channel = ((used + columns.reach * images + 2 * kLanes - 1) / kLanes | 1) * kLanes;
        run = (flat ? (band - 1) * pitch + columns.outputs : columns.outputs) * images;
        run_stride = (run + kLanes - 1) / kLanes * kLanes;
        taps.clear();
        for (const auto& a : rows.taps)
            for (const auto& b : columns.taps) {
                const int64_t slot = a.slot * static_cast<int64_t>(columns.origin.size()) + b.slot;
                taps.push_back({slot * block + (a.cell * pitch + b.cell) * images, a.index * row_taps + b.index});
            }
    }

    int64_t floats(int64_t channels) const { return channels * channel; }

    void mark_inside() {
        inside.assign(run_stride, 0);
        for (int64_t i = 0; i < run; ++i) inside[i] = flat && i % pitch >= columns.outputs ? 0 : -1;
    }

    // The taps that a band's run reads from the map, the rest lying in the padding: a range.
    void live(int64_t top, int64_t& from, int64_t& to) const {
        const int64_t across = static_cast<int64_t>(columns.taps.size()), down = static_cast<int64_t>(rows.taps.size());
        const int64_t last = top + (flat ? band - 1 : 0);
        from = down, to = 0;
        for (int64_t a = 0; a < down; ++a) {
            const int64_t slot = rows.taps[a].slot, cell = rows.taps[a].cell;
            if (rows.origin[slot] + (top + cell) * rows.stride < rows.inputs &&
                rows.origin[slot] + (last + cell) * rows.stride >= 0) {
                from = std::min(from, a);
                to = std::max(to, a + 1);
            }
        }
        from = std::min(from, to) * across;
        to *= across;
    }
};

// Up to `count` pixels that lie `stride` apart. May read on, up to `end`, what is not kept.
inline Vec pick(const float* from, int64_t stride, int64_t count, const float* end) {
    if (stride == 1 && end - from >= kLanes) return load(from);
    if (stride == 2 && end - from >= 2 * kLanes) return evens(load(from), load(from + kLanes));
    float few[kLanes] = {};
    for (int64_t i = 0; i < std::min<int64_t>(kLanes, count); ++i) few[i] = from[i * stride];
    return load(few);
}

// Keeps the first `count` lanes, `step` apart.
inline void keep(float* to, int64_t step, int64_t count, Vec lanes) {
    if (step == 1 && count >= kLanes) {
        store(to, lanes);
        return;
    }
    float few[kLanes];
    store(few, lanes);
    constexpr int64_t kHalf = kLanes / 2;
    count = std::min<int64_t>(count, kLanes);
    if (step == 1 && count >= kHalf) {  // two halves that overlap
        std::memcpy(to, few, kHalf * sizeof(float));
        std::memcpy(to + count - kHalf, few + count - kHalf, kHalf * sizeof(float));
    } else {
        for (int64_t i = 0; i < count; ++i) to[i * step] = few[i];
    }
}

// Weaves rows of as many images as a vector has lanes: target [count, images] from pixels `stride`
// apart of images `plane` floats apart.
inline void weave(const float* source, int64_t plane, int64_t stride, const float* end, int64_t count, float* target) {
    for (int64_t p = 0; p < count; p += kLanes) {
        Vec block[kLanes];
        for (int n = 0; n < kLanes; ++n) block[n] = pick(source + n * plane + p * stride, stride, count - p, end);
        transpose(block);
        for (int64_t i = 0; i < std::min<int64_t>(kLanes, count - p); ++i)
            store(target + (p + i) * kLanes, block[i]);
    }
}

// The way back, from source [count, images].
inline void unweave(const float* source, int64_t count, float* target, int64_t plane, int64_t step) {
    for (int64_t p = 0; p < count; p += kLanes) {
        const int64_t here = std::min<int64_t>(kLanes, count - p);
        Vec block[kLanes];
        for (int64_t i = 0; i < kLanes; ++i) block[i] = load(source + (p + std::min(i, here - 1)) * kLanes);
        transpose(block);
        for (int n = 0; n < kLanes; ++n) keep(target + n * plane + p * step, step, here, block[n]);
    }
}

// Zeros before or after a cell row's pixels; what a whole vector clears beyond is written later.
inline void clear(float* to, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) store(to + i, Vec{});
}

// Copies the cells that the output rows top, top + 1, ... of the sweep's band read, of one channel
// x [images, height, width] of an array that ends at `end`.
inline void fill(const Sweep& s, const float* x, const float* end, int64_t top, float* cells) {
    const int64_t images = s.images, plane = s.rows.inputs * s.columns.inputs;
    const int64_t stride = s.columns.stride;
    for (int64_t row_origin : s.rows.origin)
        for (size_t slot = 0; slot < s.columns.origin.size(); ++slot) {
            const int64_t from = s.columns.pixels_from(slot, s.pitch), to = s.columns.pixels_to(slot, s.pitch);
            for (int64_t q = 0; q < s.cell_rows; ++q, cells += s.pitch * images) {
                const int64_t row = row_origin + (top + q) * s.rows.stride;
                if (row < 0 || row >= s.rows.inputs || from == to) {
                    std::memset(cells, 0, s.pitch * images * sizeof(float));
                    continue;
                }
                clear(cells, from * images);
                const float* source = x + row * s.columns.inputs + s.columns.origin[slot] + from * stride;
                float* target = cells + from * images;
                const int64_t count = to - from;
                if (images == 1 && stride == 1) {
                    copy(target, source, count);
                } else if (images == 1) {
                    for (int64_t p = 0; p < count; p += kLanes)
                        store(target + p, pick(source + p * stride, stride, count - p, end));
                } else {
                    weave(source, plane, stride, end, count, target);
                }
                clear(cells + to * images, (s.pitch - to) * images);
            }
        }
    std::memset(cells, 0, (s.channel - s.used) * sizeof(float));
}

// Lays a sweep out in bands of least work for chunks of one image, or of as many as a vector has
// lanes; the work of an image: products, those wasted on cells between rows and beyond a run's end
// with them, a band's own work (as many vectors), the copies, and the second cache's limit.
inline double lay_out_best(Sweep& s, int64_t chunk, int64_t channels, int64_t own) {
    constexpr double kCopy = 0.03, kWeaving = 0.06, kCacheMiss = 0.05;
    int64_t best = 1;
    double least = 1e300;
    const int64_t height = s.rows.outputs;
    for (int64_t bands = 1; bands <= height; ++bands) {
        const int64_t band = (height + bands - 1) / bands;
        if (bands > 1 && band == (height + bands - 2) / (bands - 1)) continue;
        s.lay_out(chunk, band, chunk == 1);
        const double size = static_cast<double>(s.floats(channels));
        double work = static_cast<double>(bands * own) * static_cast<double>(s.taps.size());
        for (int64_t top = 0; top < height; top += s.flat ? band : 1) {
            int64_t from, to;
            s.live(top, from, to);
            work += static_cast<double>(s.vectors() * (to - from));
        }
        const double copied = static_cast<double>(s.cell_rows + band) / static_cast<double>(band);
        work *= 1.0 + (chunk == 1 ? kCopy : kWeaving) * copied;
        if (size > kBandFloats) work *= 1.0 + kCacheMiss * std::log2(size / kBandFloats);
        if (work < least) least = work, best = band;
    }
    s.lay_out(chunk, best, chunk == 1);
    return least / static_cast<double>(chunk);
}

// A sweep laid out for the images from..to.
struct Part {
    Sweep sweep;
    int64_t from, to;
    int64_t chunks() const { return (to - from) / sweep.images; }
    int64_t bands() const { return (sweep.rows.outputs + sweep.band - 1) / sweep.band; }
};

// Images are woven where that is less work, in whole chunks; the others are laid out one by one.
inline std::vector<Part> parts_of(const Sweep& s, int64_t images, int64_t channels, int64_t own) {
    Sweep single = s, many = s;
    const double alone = lay_out_best(single, 1, channels, own);
    const double together = lay_out_best(many, kLanes, channels, own);
    const int64_t woven = together < alone ? images / kLanes * kLanes : 0;
    std::vector<Part> parts;
    if (woven) parts.push_back({many, 0, woven});
    if (woven < images) parts.push_back({single, woven, images});
    return parts;
}

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
