// The gradient of a convolution's weights: outer products of maps, where the pattern has blocks.
#include "depthwise.hpp"
#include "kernels.hpp"
#include "maps.hpp"
#include "spans.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int kOuterHeight = 4;   // rows of a tile
constexpr int64_t kSumming = 12;  // vectors' time that the sums across lanes take
// Entries (input and tap) of a tile: as many as leave registers for its rows and one input.
constexpr int entries_of(int rows) {
    constexpr int wide[] = {0, 9, 9, 9, 6}, narrow[] = {0, 8, 4, 4, 2};
    return kLanes == 16 ? wide[rows] : narrow[rows];
}

struct Strip {
    const float* dy;      // of the tile's first row: runs one after another
    int64_t row_floats;   // from one row's runs to the next row's
    int64_t runs, vectors;
    int64_t run_stride;   // from one run to the next, of dy
    int64_t cell_stride;  // the same, of the cells
    int64_t channel;      // from one input's cells to the next one's
    const int32_t* inside;  // see Sweep
};

// Sums of R rows and their entries over a band, those kept added to the gradient. What lies between
// rows is multiplied by zero, which is nothing but for a NaN or an infinity: where sums come out as
// NaN they are made again, with `Careful`, without that.
template <int R, bool Careful = false>
void outer_tile(const Strip& s, const float* const* x, float* const* gradient, int64_t kept) {
    constexpr int J = entries_of(R), kSums = (R * J + kLanes - 1) / kLanes * kLanes;
    Vec sums[R * J];
    for (int i = 0; i < R * J; ++i) sums[i] = Vec{};
    for (int64_t run = 0; run < s.runs; ++run) {
        const float* dy = s.dy + run * s.run_stride;
        const int64_t cell = run * s.cell_stride;
        for (int64_t b = 0; b < s.vectors * kLanes; b += kLanes) {
            Vec slope[R];
            for (int r = 0; r < R; ++r) slope[r] = load(dy + r * s.row_floats + b);
            for (int j = 0; j < J; ++j) {
                const Vec value = Careful ? masked(load(x[j] + cell + b), s.inside + b) : load_once(x[j] + cell + b);
                for (int r = 0; r < R; ++r) sums[r * J + j] += slope[r] * value;
            }
        }
    }
    Vec all[kSums];
    for (int i = 0; i < kSums; ++i) all[i] = i < R * J ? sums[i] : Vec{};
    float totals[kSums];
    for (int i = 0; i < kSums; i += kLanes) store(totals + i, sum_each(all + i));
    if constexpr (!Careful) {
        bool spoilt = false;
        for (int i = 0; i < kSums; ++i) spoilt |= totals[i] != totals[i];
        if (spoilt) return outer_tile<R, true>(s, x, gradient, kept);
    }
    for (int r = 0; r < R; ++r) {
        float* to = gradient[r];
        if (kept == J)
            for (int j = 0; j < J; ++j) to[j] += totals[r * J + j];
        else
            for (int64_t j = 0; j < kept; ++j) to[j] += totals[r * J + j];
    }
}

// A group of the outer product, in one band: its inputs, counted from the first of the cells.
struct OuterGroup {
    const int32_t* inputs;
    int64_t entries;  // inputs and taps
    const float* cells;
    float* gradient;
};

// R rows of a group from `top` on, against all its entries.
template <int R>
void outer_rows(const Sweep& s, const Strip& strip, const OuterGroup& g, int64_t top) {
    const int64_t taps = static_cast<int64_t>(s.taps.size());
    float* rows[R];
    float* gradient[R];
    for (int r = 0; r < R; ++r) rows[r] = g.gradient + (top + r) * g.entries;
    constexpr int J = entries_of(R);
    const float* x[J];
    for (int64_t e = 0; e < g.entries; e += J) {
        const int64_t kept = std::min<int64_t>(J, g.entries - e);
        int64_t k = e / taps, t = e % taps;
        for (int64_t j = 0; j < J; ++j) {
            x[j] = g.cells + g.inputs[k] * strip.channel + s.taps[t].offset;
            if (j + 1 < kept && ++t == taps) t = 0, ++k;
        }
        for (int r = 0; r < R; ++r) gradient[r] = rows[r] + e;
        outer_tile<R>(strip, x, gradient, kept);
    }
}

// A band of one output map's gradient [images, height, width], its runs filled up with zeros.
inline void fill_slopes(const Sweep& s, const float* dy, const float* end, int64_t top, int64_t rows, float* runs) {
    const int64_t images = s.images, width = s.columns.outputs, plane = s.rows.outputs * width;
    std::memset(runs, 0, s.runs() * s.run_stride * sizeof(float));  // also where runs end
    for (int64_t i = 0; i < rows; ++i) {
        float* target = s.flat ? runs + i * s.pitch * images : runs + i * s.run_stride;
        const float* source = dy + (top + i) * width;
        if (images == 1)
            copy(target, source, width);
        else
            weave(source, plane, 1, end, width, target);
    }
}

// Images that lie side by side in the cells of a channel, so that a tile's sums are long: of single
// images with small maps, several.
inline int64_t side_by_side(const Sweep& s) {
    constexpr int64_t kLong = 64;  // vectors
    return s.flat && s.band == s.rows.outputs ? (kLong + s.vectors() - 1) / s.vectors() : 1;
}

// The groups of a span over all images.
void outer_groups(const ConvolutionOuterArgs& a, const Side& side, bool without, const std::vector<Part>& parts, const Span& span,
                  Store& cells_store, Store& slopes_store, std::vector<int32_t>& inputs) {
    using Rows = void (*)(const Sweep&, const Strip&, const OuterGroup&, int64_t);
    static constexpr Rows by_rows[] = {nullptr, outer_rows<1>, outer_rows<2>, outer_rows<3>, outer_rows<4>};
    const Maps& m = a.maps;
    const auto& [begin, end, first, last] = span;
    const int64_t in_plane = m.height * m.width, out_plane = m.out_height * m.out_width;
    const int64_t first_row = side.top[begin], last_row = side.top[end];
    const float* x_end = a.x + last * m.images * in_plane;
    const float* dy_end = a.dy + last_row * m.images * out_plane;
    for (int64_t g = begin; g < end; ++g)
        if (!(without && alone(side, g)))
            std::memset(a.gradient + a.plan.weight_first[g] * m.taps(), 0,
                        (a.plan.weight_first[g + 1] - a.plan.weight_first[g]) * m.taps() * sizeof(float));
    for (const Part& part : parts) {
        const Sweep& s = part.sweep;
        const int64_t beside = side_by_side(s), run_floats = s.runs() * s.run_stride;
        const int64_t channel = beside * s.channel, row_floats = beside * run_floats;
        float* cells = cells_store.floats((last - first) * channel);
        float* slopes = slopes_store.floats((last_row - first_row) * row_floats);
        for (int64_t image = part.from; image < part.to; image += beside * s.images)
            for (int64_t top = 0; top < m.out_height; top += s.band) {
                const int64_t here = std::min(s.band, m.out_height - top);
                const int64_t count = std::min(beside, (part.to - image) / s.images);
                for (int64_t i = 0; i < count; ++i) {
                    const int64_t at = image + i * s.images;
                    for (int64_t c = first; c < last; ++c)
                        fill(s, a.x + (c * m.images + at) * in_plane, x_end, top,
                             cells + (c - first) * channel + i * s.channel);
                    for (int64_t r = first_row; r < last_row; ++r)
                        fill_slopes(s, a.dy + (r * m.images + at) * out_plane, dy_end, top, here,
                                    slopes + (r - first_row) * row_floats + i * run_floats);
                }
                for (int64_t g = begin; g < end; ++g) {
                    if (without && alone(side, g)) continue;
                    const int64_t row = side.top[g] - first_row, height = side.rows(g), read = side.count(g);
                    const int64_t tiles = (height + kOuterHeight - 1) / kOuterHeight;
                    if (static_cast<int64_t>(inputs.size()) < read) inputs.resize(read);
                    side.list(g, first, inputs.data());
                    const OuterGroup group{inputs.data(), read * m.taps(), cells,
                                           a.gradient + a.plan.weight_first[g] * m.taps()};
                    for (int64_t t = 0; t < tiles; ++t) {
                        const int64_t from = height * t / tiles, to = height * (t + 1) / tiles;
                        const Strip strip{slopes + (row + from) * row_floats, row_floats, s.flat ? count : here,
                                          s.vectors(), s.run_stride, s.flat ? s.channel : s.pitch * s.images, channel,
                                          s.inside.data()};
                        by_rows[to - from](s, strip, group, from);
                    }
                }
            }
    }
}

}  // namespace

void convolution_weights(const ConvolutionOuterArgs& a, int threads) {
    const Maps& m = a.maps;
    Sweep s{};
    s.row_taps = m.across.size;
    s.rows = forward_axis(m.down, m.height, m.out_height);
    s.columns = forward_axis(m.across, m.width, m.out_width);
    // Sums over bands show where bands end, so those must not depend on the number of channels.
    std::vector<Part> parts = parts_of(s, m.images, kNominalChannels, kSumming);
    for (Part& part : parts) part.sweep.mark_inside();
    // Each thread takes whole groups through all images, with its own copy of what they read.
    const Side side(a.plan, false);
    const bool apart = aligned(m);
    if (apart) slopes_alone(a, side, threads);
    const std::vector<Span> spans = spans_of(side, apart);
    const int64_t count = static_cast<int64_t>(spans.size()), pieces = count ? (threads + count - 1) / count : 0;
#pragma omp parallel num_threads(threads)
    {
        static thread_local Store cells, slopes;
        static thread_local std::vector<int32_t> inputs;
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < count * pieces; ++i) {
            Span span = spans[i / pieces];
            const int64_t begin = span.begin, groups = span.end - begin, piece = i % pieces;
            span.begin = begin + groups * piece / pieces;
            span.end = begin + groups * (piece + 1) / pieces;
            if (span.begin < span.end) outer_groups(a, side, apart, parts, span, cells, slopes, inputs);
        }
    }
}

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
