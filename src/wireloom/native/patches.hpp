// Maps of three taps across, cut into patches: one for each lane of a vector.
//
// Each lane has an image, or a rectangle of one, and the vectors of neighbouring pixels lie side by
// side. So every load is a whole, aligned vector, no lane is lost between rows, and a vector once
// loaded serves three taps. An output is summed in the order of the other layouts: the same bits.
#pragma once

#include "kernels.hpp"
#include "maps.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int kPatchRows = kLanes == 16 ? 4 : 2;  // most rows of a tile
constexpr int kPatchCells = 8;                    // and outputs side by side

// Lanes from..until of a vector are at, or go to, offset + lane in a row of a patch's pixels.
struct Segment {
    int64_t row, offset;
    int from, until;
};

// Rows of `width` values as whole vectors one after another: each vector's segments, without what
// lies outside the columns first..end.
using Segments = std::vector<std::vector<Segment>>;
inline Segments segments_of(int64_t rows, int64_t width, int64_t first, int64_t end) {
    Segments vectors((rows * width + kLanes - 1) / kLanes);
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t at = row * width, stop = at + width; at < stop;) {
            const int64_t v = at / kLanes, next = std::min(stop, (v + 1) * kLanes), zero = v * kLanes - row * width;
            const int64_t from = std::max(at - v * kLanes, first - zero);
            const int64_t until = std::min(next - v * kLanes, end - zero);
            if (from < until) vectors[v].push_back({row, zero, static_cast<int>(from), static_cast<int>(until)});
            at = next;
        }
    return vectors;
}

struct Patches {
    Axis rows, columns;
    int64_t images, down, across;  // of a chunk: patches of an image are down x across
    int64_t height, width;         // of a patch, in outputs
    int64_t pitch;                 // cells, of kLanes floats, from one cell row to the next
    int64_t channel;               // floats of an input's cells
    bool falling;                  // whether taps go from the last cell to the first
    std::vector<Sweep::Tap> taps;  // of the kernel's rows, each one's first
    std::vector<Segments> given, made;  // of the inputs and outputs of each patch across

    int64_t band() const { return down * height; }  // output rows of a chunk
    int64_t bands() const { return (rows.outputs + band() - 1) / band(); }
    int64_t outputs() const { return height * width * kLanes; }  // floats of an output's patches

    // Whether a sweep has such taps.
    static bool serve(const Axis& columns) {
        if (columns.taps.size() != 3 || columns.origin.size() != 1 || columns.stride != 1 || columns.step != 1)
            return false;
        const int64_t first = columns.taps[0].cell;
        for (int64_t b = 0; b < 3; ++b)
            if (columns.taps[b].slot || columns.taps[b].index != b ||
                columns.taps[b].cell != (first ? 2 - b : b))
                return false;
        return true;
    }

    void shape(int64_t chunk, int64_t patches_down, int64_t patches_across, int64_t rows_of_patch) {
        images = chunk, down = patches_down, across = patches_across, height = rows_of_patch;
        width = (columns.outputs + across - 1) / across;
        pitch = width + columns.reach;
        const int64_t cells = static_cast<int64_t>(rows.origin.size()) * (height + rows.reach) * pitch;
        channel = (cells | 1) * kLanes;  // odd, as in a sweep
    }

    void lay_out(int64_t row_taps) {
        falling = columns.taps[0].cell != 0;
        taps.clear();
        for (const auto& tap : rows.taps)
            taps.push_back({(tap.slot * (height + rows.reach) + tap.cell) * pitch * kLanes, tap.index * row_taps});
        given.clear(), made.clear();
        const int64_t end = columns.pixels_to(0, columns.cells()), first = columns.pixels_from(0, end);
        for (int64_t j = 0; j < across; ++j) {
            const int64_t column = j * width;
            given.push_back(segments_of(height + rows.reach, pitch, first - column, end - column));
            made.push_back(segments_of(height, width, 0, columns.outputs - column));
        }
    }

    // Cycles of an image's outputs that read `fan` inputs, on `ratio` inputs to an output.
    double cycles(double fan, double ratio, int64_t channels) const {
        constexpr double kWeight = 0.4, kPlaced = 22.0, kCacheMiss = 0.05;
        const double weights = fan * static_cast<double>(rows.taps.size()) * 3.0;
        // Narrow patches reuse little, and are copied in pieces; narrow vectors gain less by whole loads.
        constexpr double kSlower = kLanes == 16 ? 1.0 : kLanes == 8 ? 1.35 : 1.6;
        const double product = kSlower * (0.54 + 0.4 / static_cast<double>(std::min<int64_t>(width, kPatchCells)));
        const double copied = 8.0 + 230.0 / static_cast<double>(std::min<int64_t>(pitch, kLanes));
        double work = static_cast<double>(height * width) * (weights * product + kPlaced) + weights * kWeight +
                      ratio * static_cast<double>(channel / kLanes) * copied;
        const double size = static_cast<double>(channel * channels);
        if (size > kBandFloats) work *= 1.0 + kCacheMiss * std::log2(size / kBandFloats);
        return work * static_cast<double>(bands()) / static_cast<double>(images);
    }

    // Takes the shape of least work for chunks of `chunk` images; returns that.
    double shape_best(int64_t chunk, double fan, double ratio, int64_t channels) {
        double least = 1e300;
        std::array<int64_t, 3> best{};
        for (int64_t patches = kLanes / chunk, i = 1; i <= patches; i *= 2) {
            const int64_t j = patches / i;
            if (i > rows.outputs || j > columns.outputs) continue;
            for (int64_t count = 1; count * i <= rows.outputs + i - 1; ++count) {
                shape(chunk, i, j, (rows.outputs + i * count - 1) / (i * count));
                const double work = cycles(fan, ratio, channels);
                if (work < least) least = work, best = {i, j, height};
                if (channel * channels <= kBandFloats) break;  // smaller ones only copy more
            }
        }
        if (least < 1e300) shape(chunk, best[0], best[1], best[2]);
        return least;
    }

    // Where a lane's patch is.
    struct Place {
        int64_t image, row, across;
    };
    Place place_of(int64_t lane) const {
        return {lane / (down * across), lane / across % down * height, lane % across};
    }

    // Cells of one channel x [images, height, width] for the output rows top, top + 1, ...; `ahead` is
    // how far the next channel lies.
    void fill(const float* x, int64_t ahead, int64_t top, float* cells) const {
        const int64_t plane = rows.inputs * columns.inputs, count = (height + rows.reach) * pitch;
        for (int64_t origin : rows.origin) {
            struct {
                const float* x;
                int64_t first, end;  // rows of the patch that the map has
                const Segments* segments;
            } lanes[kLanes];
            for (int n = 0; n < kLanes; ++n) {
                const Place at = place_of(n);
                const int64_t row = origin + (top + at.row) * rows.stride, left = rows.inputs - row;
                lanes[n] = {x + at.image * plane + row * columns.inputs + columns.origin[0] + at.across * width,
                            row < 0 ? (-row + rows.stride - 1) / rows.stride : 0,
                            left <= 0 ? 0 : (left + rows.stride - 1) / rows.stride, &given[at.across]};
            }
            for (int64_t v = 0; v * kLanes < count; ++v) {
                Vec block[kLanes];
                for (int n = 0; n < kLanes; ++n) {
                    block[n] = Vec{};
                    for (const Segment& s : (*lanes[n].segments)[v]) {
                        if (s.row < lanes[n].first || s.row >= lanes[n].end) continue;
                        const float* from = lanes[n].x + s.row * rows.stride * columns.inputs + s.offset;
                        __builtin_prefetch(from + s.from + ahead, 0, 2);
                        block[n] = load_between(block[n], from, s.from, s.until);
                    }
                }
                transpose(block);
                for (int64_t i = 0; i < std::min<int64_t>(kLanes, count - v * kLanes); ++i)
                    store(cells + (v * kLanes + i) * kLanes, block[i]);
            }
            cells += count * kLanes;
        }
    }

    // Where a lane's outputs go, of one channel's maps; and how many of its rows the map has.
    struct Target {
        float* y;
        int64_t rows;
        const Segments* segments;
    };
    void targets(float* map, int64_t top, int64_t out_width, int64_t plane, Target* lanes) const {
        for (int n = 0; n < kLanes; ++n) {
            const Place at = place_of(n);
            const int64_t row = top + at.row;
            const int64_t map_row = (rows.first + row * rows.step) * out_width;
            lanes[n] = {map + at.image * plane + map_row + columns.first + at.across * width, rows.outputs - row,
                        &made[at.across]};
        }
    }

    // Fetches a row of theirs, so that it is near when they are done.
    void fetch(const Target* lanes, int64_t row, int64_t out_width) const {
        for (int n = 0; n < kLanes; ++n)
            if (row < lanes[n].rows) __builtin_prefetch(lanes[n].y + row * rows.step * out_width, 1);
    }

    // Takes outputs y [height, width, lanes] there.
    void place(const float* y, const Target* lanes, int64_t out_width) const {
        const int64_t count = height * width;
        for (int64_t v = 0; v * kLanes < count; ++v) {
            const int64_t here = std::min<int64_t>(kLanes, count - v * kLanes);
            Vec block[kLanes];
            for (int64_t i = 0; i < kLanes; ++i) block[i] = load(y + (v * kLanes + std::min(i, here - 1)) * kLanes);
            transpose(block);
            for (int n = 0; n < kLanes; ++n)
                for (const Segment& s : (*lanes[n].segments)[v])
                    if (s.row < lanes[n].rows)
                        store_between(lanes[n].y + s.row * rows.step * out_width + s.offset, block[n], s.from, s.until);
        }
    }
};

// ---- tiles -----------------------------------------------------------------------------------

// How many outputs of R rows fit in the registers beside three weights a row and an input.
constexpr int cells_of(int rows) {
    constexpr int wide[] = {0, 8, 8, 7, 4}, narrow[] = {0, 8, 4};
    return kLanes == 16 ? wide[rows] : narrow[rows];
}

struct PatchGroup {
    const int32_t* inputs;
    int64_t count;
    const float* weights;   // of the tile's first row
    int64_t row_stride;
    int64_t kernel;         // floats of an entry
    const Sweep::Tap* taps;
    int64_t rows;           // of the kernel
    int64_t pitch, channel; // floats
};

// R rows by V outputs side by side. An output meets its three taps in their order, since the cells
// are gone through in it.
template <int R, int V, bool Falling, bool Three, int... I, int... W, int... C>
[[gnu::always_inline]] inline void patch_sums(const PatchGroup& g, const float* cells, float* y, int64_t row_floats,
                                              std::integer_sequence<int, I...>, std::integer_sequence<int, W...>,
                                              std::integer_sequence<int, C...>) {
    Vec sums[R * V] = {(void(I), Vec{})...};
    const Sweep::Tap three[3] = {g.taps[0], g.taps[Three ? 1 : 0], g.taps[Three ? 2 : 0]};
    for (int64_t k = 0; k < g.count; ++k) {
        const float* x = cells + g.inputs[k] * g.channel;
        const float* weights = g.weights + k * g.kernel;
        const auto row = [&](const Sweep::Tap& tap) __attribute__((always_inline)) {
            const float* under = x + tap.offset;
            const float* w = weights + tap.weight;
            const Vec weight[3 * R] = {held(spread(w[W / 3 * g.row_stride + W % 3]))...};
            const auto meet = [&]<int At>(std::integral_constant<int, At>) __attribute__((always_inline)) {
                const Vec value = load(under + At * kLanes);
                const auto add = [&]<int K>(std::integral_constant<int, K>) __attribute__((always_inline)) {
                    constexpr int r = K / 3, b = K % 3, output = At - (Falling ? 2 - b : b);
                    if constexpr (output >= 0 && output < V) sums[r * V + output] += weight[K] * value;
                };
                (add(std::integral_constant<int, W>{}), ...);
            };
            (meet(std::integral_constant<int, Falling ? V + 1 - C : C>{}), ...);
        };
        if constexpr (Three)
            row(three[0]), row(three[1]), row(three[2]);
        else
            for (int64_t t = 0; t < g.rows; ++t) row(g.taps[t]);
    }
    (store(y + I / V * row_floats + I % V * kLanes, sums[I]), ...);
}

template <int R, int V, bool Falling>
void patch_tile(const PatchGroup& g, const float* cells, float* y, int64_t row_floats) {
    const auto sums = [&]<bool Three>(std::bool_constant<Three>) __attribute__((always_inline)) {
        patch_sums<R, V, Falling, Three>(g, cells, y, row_floats, std::make_integer_sequence<int, R * V>{},
                                         std::make_integer_sequence<int, 3 * R>{},
                                         std::make_integer_sequence<int, V + 2>{});
    };
    if (g.rows == 3)
        sums(std::true_type{});
    else
        sums(std::false_type{});
}

using PatchTile = void (*)(const PatchGroup&, const float*, float*, int64_t);
template <int R, bool Falling, int... V>
constexpr std::array<PatchTile, kPatchCells + 1> patch_tiles(std::integer_sequence<int, V...>) {
    return {nullptr, patch_tile<R, (V < cells_of(R) ? V + 1 : 1), Falling>...};
}
template <bool Falling, int... R>
constexpr std::array<std::array<PatchTile, kPatchCells + 1>, kPatchRows + 1> patch_heights(
    std::integer_sequence<int, R...>) {
    return {std::array<PatchTile, kPatchCells + 1>{},
            patch_tiles<R + 1, Falling>(std::make_integer_sequence<int, kPatchCells>{})...};
}
constexpr auto kRising = patch_heights<false>(std::make_integer_sequence<int, kPatchRows>{});
constexpr auto kFalling = patch_heights<true>(std::make_integer_sequence<int, kPatchRows>{});

// One row of the patches of `count` outputs: y [count, height, width, lanes], from that row on.
inline void patch_row(const Patches& p, const PatchGroup& g, int64_t count, const float* cells, float* y) {
    const auto& tiles = (p.falling ? kFalling : kRising)[count];
    const int64_t pieces = (p.width + cells_of(count) - 1) / cells_of(count);
    for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t at = p.width * piece / pieces, wide = p.width * (piece + 1) / pieces - at;
        tiles[wide](g, cells + at * kLanes, y + at * kLanes, p.outputs());
    }
}

// ---- parts -----------------------------------------------------------------------------------

// Chunks of images from..to laid out in patches.
struct PatchPart {
    Patches patches;
    int64_t from, to;
};

// Lays as many images out in patches as are done faster so than in a sweep of single ones, which
// takes `other` cycles an image; the rest follow them.
inline std::vector<PatchPart> patch_parts(const Sweep& s, int64_t images, double fan, double ratio, int64_t channels,
                                          double other) {
    std::vector<PatchPart> parts;
    Patches tried{};
    tried.rows = s.rows, tried.columns = s.columns;
    int64_t done = 0;
    for (int64_t most = kLanes; most && done < images;) {
        Patches best{};
        double least = other;
        for (int64_t chunk = most; chunk; chunk /= 2) {
            if (chunk > images - done) continue;
            const double work = tried.shape_best(chunk, fan, ratio, channels);
            if (work < least) least = work, best = tried;
        }
        if (least == other) break;
        best.lay_out(s.row_taps);
        const int64_t count = (images - done) / best.images * best.images;
        parts.push_back({best, done, done + count});
        done += count, most = best.images / 2;
    }
    return parts;
}

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
