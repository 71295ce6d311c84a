// The convolution of maps, forward and back.
#include "depthwise.hpp"
#include "kernels.hpp"
#include "maps.hpp"
#include "patches.hpp"
#include "spans.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {

void finish(const Finish& f, int64_t feature, int64_t at, int64_t count, float* y);  // in normalisation.cpp
void convolution_weights(const ConvolutionOuterArgs& a, int threads);                // in convolution_weights.cpp

namespace {

struct Group {
    const int32_t* inputs;
    int64_t count;
    const float* weights;         // of the tile's first row: entry after entry
    int64_t row_stride;           // in floats
    int64_t kernel;               // floats of an entry
    const Sweep::Tap* taps;       // those to go through
    int64_t live;
    int64_t channel;              // floats of an input's cells
};

// R rows by V vectors of a run of outputs, from the cells under the first of them.
template <int R, int V>
inline void convolution_tile(const Group& g, const float* cells, float* y, int64_t run_stride) {
    Vec sums[R][V];
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) sums[r][v] = Vec{};
    const float* weight[R];
    for (int64_t k = 0; k < g.count; ++k) {
        const float* x = cells + g.inputs[k] * g.channel;
        for (int r = 0; r < R; ++r) weight[r] = g.weights + r * g.row_stride + k * g.kernel;
        for (int64_t t = 0; t < g.live; ++t) {
            const float* under = x + g.taps[t].offset;
            const int64_t tap = g.taps[t].weight;
            Vec values[V];
            for (int v = 0; v < V; ++v) values[v] = load(under + v * kLanes);
            for (int r = 0; r < R; ++r) {
                const Vec w = spread(weight[r][tap]);
                for (int v = 0; v < V; ++v) sums[r][v] += w * values[v];
            }
        }
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) store(y + r * run_stride + v * kLanes, sums[r][v]);
}

// How many vectors of R rows fit in the registers beside a weight and an input.
constexpr int vectors_of(int rows) {
    constexpr int wide[] = {0, 8, 8, 8, 6, 5, 4}, narrow[] = {0, 7, 5, 4, 3, 2, 2};
    return kLanes == 16 ? wide[rows] : narrow[rows];
}
constexpr int kMostVectors = 8;

// Into how many tiles to cut rows over a run of vectors: those of least time, a tile's step taking
// half as long as it has products, and a little.
inline int64_t tiles_over(int64_t rows, int64_t vectors) {
    int64_t best = rows;
    double least = 1e300;
    for (int64_t tiles = (rows + kRows - 1) / kRows; tiles <= rows; ++tiles) {
        double time = 0;
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t high = rows * (t + 1) / tiles - rows * t / tiles, most = vectors_of(static_cast<int>(high));
            time += 0.5 * static_cast<double>(high * vectors) + 2.5 * static_cast<double>((vectors + most - 1) / most);
        }
        if (time < least) least = time, best = tiles;
    }
    return best;
}

using Tile = void (*)(const Group&, const float*, float*, int64_t);
template <int R, size_t... V>
constexpr std::array<Tile, kMostVectors + 1> tiles_of(std::index_sequence<V...>) {
    return {nullptr, convolution_tile<R, (static_cast<int>(V) < vectors_of(R) ? static_cast<int>(V) + 1 : 1)>...};
}
template <size_t... R>
constexpr std::array<std::array<Tile, kMostVectors + 1>, kRows + 1> every_tile(std::index_sequence<R...>) {
    return {std::array<Tile, kMostVectors + 1>{},
            tiles_of<static_cast<int>(R) + 1>(std::make_index_sequence<kMostVectors>{})...};
}
constexpr auto kTiles = every_tile(std::make_index_sequence<kRows>{});

// Takes a band's outputs of `count` rows from y (run after run) to their places in the map.
inline void place(const Sweep& s, const float* y, int64_t top, int64_t rows, int64_t width, float* map,
                  int64_t plane) {
    const int64_t images = s.images, step = s.columns.step;
    if (images == kLanes && step == 1 && s.rows.step == 1 && s.run == s.run_stride && s.columns.outputs == width) {
        unweave(y, rows * width, map + top * width, plane, 1);
        return;
    }
    for (int64_t i = 0; i < rows; ++i) {
        const float* source = s.flat ? y + i * s.pitch * images : y + i * s.run_stride;
        float* target = map + (s.rows.first + (top + i) * s.rows.step) * width + s.columns.first;
        if (images > 1) {
            unweave(source, s.columns.outputs, target, plane, step);
        } else if (step == 1) {
            copy(target, source, s.columns.outputs);
        } else {
            for (int64_t j = 0; j < s.columns.outputs; ++j) target[j * step] = source[j];
        }
    }
}

// The groups of a convolution, and where the weights of each lie: row by row, in entries.
struct Work {
    const ConvolutionArgs& args;
    const Side side;
    const float* weights;
    const int64_t* weight_first;
    bool without;  // groups that are alone
    std::vector<Span> spans;
};

// Groups of a span, on the images and rows of one band.
struct Share {
    Span span;
    int64_t image, top;
};

// What follows the convolution, of rows top .. top + rows of a channel's images.
inline void finish_rows(const ConvolutionArgs& a, int64_t channel, int64_t image, int64_t images, int64_t top,
                        int64_t rows) {
    if (!a.finish) return;
    const int64_t width = a.maps.out_width, plane = a.maps.out_height * width;
    for (int64_t n = image; n < image + images; ++n)
        finish(*a.finish, channel, (channel * a.maps.images + n) * plane + top * width, rows * width, a.y);
}

void run_share(const Work& work, const Sweep& s, const Share& share, Store& cells_store, Store& outputs_store,
               std::vector<int32_t>& inputs) {
    const ConvolutionArgs& a = work.args;
    const Maps& m = a.maps;
    const auto& [begin, end, first_input, last_input] = share.span;
    const int64_t in_plane = s.rows.inputs * s.columns.inputs;
    const int64_t out_height = a.back ? m.height : m.out_height, out_width = a.back ? m.width : m.out_width;
    const int64_t out_plane = out_height * out_width, top = share.top;
    const int64_t rows_here = std::min(s.band, s.rows.outputs - top), runs = s.flat ? 1 : rows_here;
    float* cells = cells_store.floats(s.floats(last_input - first_input));
    const float* x_end = a.x + last_input * m.images * in_plane;
    for (int64_t c = first_input; c < last_input; ++c)
        fill(s, a.x + (c * m.images + share.image) * in_plane, x_end, top, cells + (c - first_input) * s.channel);
    const int64_t row_floats = s.runs() * s.run_stride, kernel = m.taps();
    float* outputs = outputs_store.floats(kRows * row_floats);
    for (int64_t g = begin; g < end; ++g) {
        if (work.without && alone(work.side, g)) continue;
        const int64_t first = work.side.top[g], rows = work.side.rows(g), read = work.side.count(g);
        const int64_t stride = read * kernel;
        const float* weights = work.weights + work.weight_first[g] * kernel;
        if (static_cast<int64_t>(inputs.size()) < read) inputs.resize(read);
        work.side.list(g, first_input, inputs.data());
        const int64_t tiles = tiles_over(rows, s.vectors());
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t row = rows * t / tiles, count = rows * (t + 1) / tiles - row;
            Group group{inputs.data(), read, weights + row * stride, stride, kernel, nullptr, 0, s.channel};
            const int64_t pieces = (s.vectors() + vectors_of(count) - 1) / vectors_of(count);
            for (int64_t run = 0; run < runs; ++run) {
                int64_t from, to;
                s.live(top + run, from, to);
                group.taps = s.taps.data() + from;
                group.live = std::max<int64_t>(0, to - from);
                const float* under = cells + run * s.pitch * s.images;
                for (int64_t p = 0; p < pieces; ++p) {
                    const int64_t at = s.vectors() * p / pieces, wide = s.vectors() * (p + 1) / pieces - at;
                    kTiles[count][wide](group, under + at * kLanes, outputs + run * s.run_stride + at * kLanes,
                                        row_floats);
                }
            }
            for (int64_t r = 0; r < count; ++r) {
                place(s, outputs + r * row_floats, top, rows_here, out_width,
                      a.y + ((first + row + r) * m.images + share.image) * out_plane, out_plane);
                finish_rows(a, first + row + r, share.image, s.images, top, rows_here);
            }
        }
    }
}

// Images in patches: groups from..until of a span, on cells that are filled.
void run_patches(const Work& work, const Patches& p, const Share& share, const float* cells, Store& store,
                 std::vector<int32_t>& inputs) {
    const ConvolutionArgs& a = work.args;
    const Maps& m = a.maps;
    const int64_t out_width = a.back ? m.width : m.out_width, plane = out_width * (a.back ? m.height : m.out_height);
    const int64_t kernel = m.taps();
    float* outputs = store.floats(kPatchRows * p.outputs());
    for (int64_t g = share.span.begin; g < share.span.end; ++g) {
        if (work.without && alone(work.side, g)) continue;
        const int64_t first = work.side.top[g], rows = work.side.rows(g), read = work.side.count(g);
        if (static_cast<int64_t>(inputs.size()) < read) inputs.resize(read);
        work.side.list(g, share.span.first, inputs.data());
        const float* weights = work.weights + work.weight_first[g] * kernel;
        const int64_t stride = read * kernel, tiles = (rows + kPatchRows - 1) / kPatchRows;
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t row = rows * t / tiles, count = rows * (t + 1) / tiles - row;
            const PatchGroup group{inputs.data(), read, weights + row * stride, stride, kernel, p.taps.data(),
                                   static_cast<int64_t>(p.taps.size()), p.pitch * kLanes, p.channel};
            Patches::Target lanes[kPatchRows][kLanes];
            for (int64_t r = 0; r < count; ++r)
                p.targets(a.y + ((first + row + r) * m.images + share.image) * plane, share.top, out_width, plane,
                          lanes[r]);
            for (int64_t i = 0; i < p.height; ++i) {
                for (int64_t r = 0; r < count; ++r) p.fetch(lanes[r], i, out_width);
                patch_row(p, group, count, cells + i * group.pitch, outputs + i * p.width * kLanes);
            }
            for (int64_t r = 0; r < count; ++r) {
                p.place(outputs + r * p.outputs(), lanes[r], out_width);
                finish_rows(a, first + row + r, share.image, p.images, share.top,
                            std::min(p.band(), p.rows.outputs - share.top));
            }
        }
    }
}

// Fills the cells of the channels from..until of a share's span.
void fill_patches(const Work& work, const Patches& p, const Share& share, int64_t from, int64_t until, float* cells) {
    const int64_t images = work.args.maps.images, plane = p.rows.inputs * p.columns.inputs;
    for (int64_t c = from; c < until; ++c)
        p.fill(work.args.x + (c * images + share.image) * plane, images * plane, share.top,
               cells + (c - share.span.first) * p.channel);
}

// The images from..to of a part. Threads take shares of their own, or all of them the groups of one
// share after another where these are few.
void run_part(const Work& work, const PatchPart& part, int threads) {
    const Patches& p = part.patches;
    const int64_t bands = p.bands(), chunks = (part.to - part.from) / p.images;
    const int64_t shares = static_cast<int64_t>(work.spans.size()) * chunks * bands;
    const auto share_of = [&](int64_t i) {
        return Share{work.spans[i / bands / chunks], part.from + i / bands % chunks * p.images, i % bands * p.band()};
    };
    const bool apart = threads == 1 || shares >= 8 * threads;
    static thread_local Store shared;
    Store& common = shared;
#pragma omp parallel num_threads(threads)
    {
        static thread_local Store own, outputs;
        static thread_local std::vector<int32_t> inputs;
        if (apart) {
#pragma omp for schedule(dynamic, 1)
            for (int64_t i = 0; i < shares; ++i) {
                const Share share = share_of(i);
                float* cells = own.floats((share.span.last - share.span.first) * p.channel);
                fill_patches(work, p, share, share.span.first, share.span.last, cells);
                run_patches(work, p, share, cells, outputs, inputs);
            }
        } else {
            for (int64_t i = 0; i < shares; ++i) {
                const Share share = share_of(i);
#pragma omp single
                common.floats((share.span.last - share.span.first) * p.channel);
                float* cells = common.floats(0);
#pragma omp for schedule(static)
                for (int64_t c = share.span.first; c < share.span.last; ++c)
                    fill_patches(work, p, share, c, c + 1, cells);
#pragma omp for schedule(dynamic, 1)
                for (int64_t g = share.span.begin; g < share.span.end; ++g) {
                    Share one = share;
                    one.span.begin = g, one.span.end = g + 1;
                    run_patches(work, p, one, cells, outputs, inputs);
                }
            }
        }
    }
}

// Which images of a sweep are faster in patches than one by one.
std::vector<PatchPart> patch_parts_of(const Work& work, const Sweep& s, int64_t widest) {
    if (!Patches::serve(s.columns)) return {};
    const PlanLists& plan = work.args.plan;
    const double rows = static_cast<double>(work.args.back ? plan.columns : plan.rows);
    const double fan = static_cast<double>(plan.weights) / rows;
    const double ratio = static_cast<double>(work.args.back ? plan.rows : plan.columns) / rows;
    const double low = static_cast<double>(work.side.groups) / rows;  // few rows reuse little in a sweep
    const double product = kLanes == 16 ? 0.7 + 0.75 * low : 0.82;
    Sweep single = s;
    const double other = product * fan * lay_out_best(single, 1, widest, 0);
    return patch_parts(s, work.args.maps.images, fan, ratio, widest, other);
}

void run_sweep(const Work& work, const Sweep& s, int threads) {
    if (s.rows.outputs <= 0 || s.columns.outputs <= 0) return;
    const Maps& m = work.args.maps;
    int64_t widest = 0;
    for (const Span& span : work.spans) widest = std::max(widest, span.last - span.first);
    const int64_t spans = static_cast<int64_t>(work.spans.size());
    int64_t done = 0;
    for (const PatchPart& part : patch_parts_of(work, s, widest)) {
        run_part(work, part, threads);
        done = part.to;
    }
    if (done == m.images) return;
    for (Part& part : parts_of(s, m.images - done, widest, 1)) {
        part.from += done, part.to += done;
        const int64_t bands = part.bands(), shares = spans * part.chunks() * bands;
        const int64_t pieces = threads > 1 && shares < 8 * threads ? (8 * threads + shares - 1) / shares : 1;
#pragma omp parallel num_threads(threads)
        {
            static thread_local Store cells, outputs;
            static thread_local std::vector<int32_t> inputs;
#pragma omp for schedule(dynamic, 1)
            for (int64_t i = 0; i < shares * pieces; ++i) {
                const int64_t image = i / pieces / bands % part.chunks(), band = i / pieces % bands, piece = i % pieces;
                Share share{work.spans[i / pieces / bands / part.chunks()], part.from + image * part.sweep.images,
                            band * part.sweep.band};
                const int64_t begin = share.span.begin, count = share.span.end - begin;
                share.span.begin = begin + count * piece / pieces;
                share.span.end = begin + count * (piece + 1) / pieces;
                if (share.span.begin < share.span.end) run_share(work, part.sweep, share, cells, outputs, inputs);
            }
        }
    }
}

// Going back, the weights of a row's inputs lie far apart: gathered once, row by row. Returns where
// each group's begin.
std::vector<int64_t> gather(const ConvolutionArgs& a, const Side& side, Store& store, int threads) {
    std::vector<int64_t> first(side.groups + 1, 0);
    for (int64_t g = 0; g < side.groups; ++g) first[g + 1] = first[g] + side.count(g) * side.rows(g);
    const int64_t taps = a.maps.taps();
    float* gathered = store.floats(first[side.groups] * taps);
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
    for (int64_t g = 0; g < side.groups; ++g) {
        const int64_t rows = side.rows(g), stride = (first[g + 1] - first[g]) / rows * taps;
        float* to = gathered + first[g] * taps;
        for (int64_t b = side.first[g]; b < side.first[g + 1]; ++b) {
            const int64_t n = side.node(b), step = side.step(b) * taps;
            const float* from = a.weights + side.weight(b) * taps;
            for (int64_t k = side.left[n]; k < side.left[n + 1]; ++k, from += step, to += taps)
                for (int64_t r = 0; r < rows; ++r)
                    for (int64_t t = 0; t < taps; ++t) to[r * stride + t] = from[r * taps + t];
        }
    }
    return first;
}

void convolution(const ConvolutionArgs& a, int threads) {
    const Maps& m = a.maps;
    const Side side(a.plan, a.back);
    const bool apart = aligned(m);
    Work work{a, side, a.weights, a.plan.weight_first, apart, spans_of(side, apart)};
    // What no sweep writes: rows that read nothing where no span does, and pixels under no tap.
    const bool skips = a.back && (m.down.skips() || m.across.skips()), none = work.spans.empty();
    if (skips || none) {
        const int64_t floats = m.images * (a.back ? m.height * m.width : m.out_height * m.out_width);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t g = 0; g < side.groups; ++g)
            if (skips || side.first[g] == side.first[g + 1])
                std::memset(a.y + side.top[g] * floats, 0, side.rows(g) * floats * sizeof(float));
    }
    if (apart) convolve_alone(a, side, threads);
    if (a.finish && (apart || none)) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t g = 0; g < side.groups; ++g)
            for (int64_t row = side.top[g]; (none || alone(side, g)) && row < side.top[g + 1]; ++row)
                finish_rows(a, row, 0, m.images, 0, m.out_height);
    }
    if (none) return;
    Sweep sweep{};
    sweep.row_taps = m.across.size;
    if (!a.back) {
        sweep.rows = forward_axis(m.down, m.height, m.out_height);
        sweep.columns = forward_axis(m.across, m.width, m.out_width);
        run_sweep(work, sweep, threads);
        return;
    }
    static thread_local Store store;
    const std::vector<int64_t> first = gather(a, side, store, threads);
    work.weights = store.floats(0);
    work.weight_first = first.data();
    for (int64_t i = 0; i < m.down.stride; ++i)
        for (int64_t j = 0; j < m.across.stride; ++j) {
            sweep.rows = backward_axis(m.down, i, m.out_height, m.height);
            sweep.columns = backward_axis(m.across, j, m.out_width, m.width);
            if (!sweep.rows.taps.empty() && !sweep.columns.taps.empty()) run_sweep(work, sweep, threads);
        }
}

}  // namespace

extern const Convolutions convolutions;
const Convolutions convolutions = {convolution, convolution_weights};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
